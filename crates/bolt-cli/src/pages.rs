//! `bolt pages`: a bbolt file looked into, checked, copied and repaired.
//!
//! Owns the words that are printed; what they mean is `bbolt-pages`'. Files are read under the lock that bbolt's readers take and never
//! changed. A new file is written beside its name and renamed when it is whole, so nothing half-made is left. Damaged files give
//! findings and errors, never a crash.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use bbolt_pages::page::{META_PAGE_BYTES, Meta, NO_FREELIST, Page, PageKind};
use bbolt_pages::{
    BucketStats, BucketTree, CheckOptions, Copied, Db, Found, Options, PageTable, PageUse, RawFile, Step,
    Tree, backup, check, compact, dump, map_svg, open_shared, repair, salvage,
};

use crate::exit::Stop;
use crate::pages_args::{Action, Pages};
use crate::pages_text::{Format, is_printable, quoted};

/// Between two pages in words or in hexadecimal.
const SEPARATOR: &str = "===============================================";
/// Bytes a line of a hexadecimal dump shows.
const HEX_LINE: usize = 16;
/// Bytes of keys and values a transaction of a salvage takes.
const SALVAGE_TX_BYTES: u64 = 1 << 20;

/// Runs the command.
pub(crate) fn run(pages: &Pages) -> Result<(), Stop> {
    let name = pages.file.display();
    let source = open_shared(&pages.file, pages.timeout).map_err(|e| Stop::failed(format!("{name}: {e}")))?;
    let file = RawFile::new(&source).map_err(|e| Stop::failed(format!("{name}: {e}")))?;
    let mut out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let outcome = act(&pages.action, &file, &mut out).and_then(|()| out.flush().map_err(Failed::from));
    match outcome {
        Ok(()) => Ok(()),
        Err(Failed::Write(e)) if e.kind() == io::ErrorKind::BrokenPipe => Err(Stop::Quiet),
        Err(failed) => {
            // What was found so far stands before the reason to end.
            let _ = out.flush();
            match failed {
                Failed::Write(e) => Err(Stop::failed(format!("the output cannot be written: {e}"))),
                Failed::Store(e) => Err(Stop::failed(format!("{name}: {e}"))),
                Failed::Said(message) => Err(Stop::failed(message)),
            }
        }
    }
}

/// Why a command ends early.
enum Failed {
    Write(io::Error),
    Store(bbolt_pages::Error),
    Said(String),
}

impl From<io::Error> for Failed {
    fn from(e: io::Error) -> Self {
        Self::Write(e)
    }
}

impl From<bbolt_pages::Error> for Failed {
    fn from(e: bbolt_pages::Error) -> Self {
        match e {
            bbolt_pages::Error::Io(failure) if failure.operation == "write" => {
                Self::Write(io::Error::new(failure.source.kind(), failure.source.to_string()))
            }
            e => Self::Store(e),
        }
    }
}

type Outcome = Result<(), Failed>;

fn act(action: &Action, file: &RawFile<'_>, out: &mut impl Write) -> Outcome {
    match action {
        Action::Check { from_page, older } => {
            from_page.map_or(Ok(()), |page| is_there(file, page))?;
            let options = CheckOptions { from_page: *from_page, older: *older, ..CheckOptions::default() };
            checked(file, &options, out)
        }
        Action::Info { verbose } => info(file, *verbose, out),
        Action::Stats { prefix } => stats(file, prefix, out),
        Action::Dump { pages } if pages.is_empty() => Ok(dump(&Tree::new(*file)?, out)?),
        Action::Dump { pages } => separated(pages, out, |page, out| hex_page(file, page, out)),
        Action::Pages => table(file, out),
        Action::Page { all: true, format, .. } => all_pages(file, *format, out),
        Action::Page { pages, format, .. } => {
            separated(pages, out, |page, out| in_words(file, page, *format, out).map(|_| ()))
        }
        Action::PageItem { page, item, key, value, format } => {
            page_item(file, (*page, *item), (*key, *value), *format, out)
        }
        Action::Buckets => buckets(file, out),
        Action::Keys { path, format } => keys(file, path, *format, out),
        Action::Get { path, key, format } => get(file, path, key, *format, out),
        Action::Inspect => {
            let tree = Tree::new(*file)?.inspect()?;
            inspect(&tree, out)?;
            Ok(writeln!(out)?)
        }
        Action::Map { output: None } => Ok(map_svg(file, out)?),
        Action::Map { output: Some(output) } => new_file(output, out, |new| Ok(map_svg(file, new)?)),
        Action::Backup { output } => {
            new_file(output, out, |new| backup(file, new).map(|_| ()).map_err(Failed::from))
        }
        Action::Compact { output, tx_max_size, no_sync } => {
            compacted(file, output, *tx_max_size, *no_sync, out)
        }
        Action::Repair { output, salvage } => repaired(file, output, *salvage, out),
    }
}

fn checked(file: &RawFile<'_>, options: &CheckOptions, out: &mut impl Write) -> Outcome {
    let report = check(file, options)?;
    if let Some((page, fault)) = report.unsound_meta {
        let others =
            format!("the state of page {}, transaction {}, counts", report.meta_page, report.meta.txid);
        eprintln!(
            "note: meta page {page} is unsound ({fault:?}), as after a power cut in a commit: {others}"
        );
    }
    for finding in &report.findings {
        writeln!(out, "{finding}")?;
    }
    if report.findings_omitted > 0 {
        writeln!(out, "{} more findings are not shown", report.findings_omitted)?;
    }
    match report.findings.len() as u64 + report.findings_omitted {
        0 => Ok(writeln!(out, "OK")?),
        count => {
            writeln!(out, "{count} errors found")?;
            let advice = if report.has_errors() {
                "the file is damaged: `bolt pages repair` makes a sound copy of what can be had"
            } else {
                "the file reads right, and bbolt would not have written it so: `bolt pages compact` makes it usual"
            };
            Err(Failed::Said(advice.into()))
        }
    }
}

fn info(file: &RawFile<'_>, verbose: bool, out: &mut impl Write) -> Outcome {
    let meta = file.meta()?;
    writeln!(out, "Page Size: {}", file.page_size())?;
    if verbose {
        writeln!(out, "File Size: {}", file.file_bytes())?;
        writeln!(out, "Pages: {}", meta.high_water)?;
        writeln!(out, "Free Pages: {}", PageTable::new(*file)?.free_count())?;
        for (page, meta) in file.metas().iter().enumerate() {
            let current = if file.current() == Some(page) { " (current)" } else { "" };
            match meta {
                Ok(Meta { root, freelist, high_water, txid, .. }) => {
                    let freelist = if *freelist == NO_FREELIST {
                        "not written".to_owned()
                    } else {
                        freelist.to_string()
                    };
                    writeln!(
                        out,
                        "Meta {page}: txid={txid} root={root} freelist={freelist} hwm={high_water}{current}"
                    )?;
                }
                Err(fault) => writeln!(out, "Meta {page}: unsound, {fault:?}")?,
            }
        }
    }
    Ok(())
}

fn stats(file: &RawFile<'_>, prefix: &[u8], out: &mut impl Write) -> Outcome {
    let tree = Tree::new(*file)?;
    let (mut total, mut count) = (BucketStats::default(), 0_u64);
    for name in top_names(&tree)? {
        if name.starts_with(prefix)
            && let Some(bucket) = tree.bucket(&[&name])?
        {
            total.add(&tree.stats(&bucket)?);
            count += 1;
        }
    }
    let share =
        |part: u64, whole: u64| if whole == 0 { 0 } else { (part as f32 * 100.0 / whole as f32) as u64 };
    let s = &total;
    write!(
        out,
        "Aggregate statistics for {count} buckets\n\n\
         Page count statistics\n\
         \tNumber of logical branch pages: {}\n\
         \tNumber of physical branch overflow pages: {}\n\
         \tNumber of logical leaf pages: {}\n\
         \tNumber of physical leaf overflow pages: {}\n\
         Tree statistics\n\
         \tNumber of keys/value pairs: {}\n\
         \tNumber of levels in B+tree: {}\n\
         Page size utilization\n\
         \tBytes allocated for physical branch pages: {}\n\
         \tBytes actually used for branch data: {} ({}%)\n\
         \tBytes allocated for physical leaf pages: {}\n\
         \tBytes actually used for leaf data: {} ({}%)\n\
         Bucket statistics\n\
         \tTotal number of buckets: {}\n\
         \tTotal number on inlined buckets: {} ({}%)\n\
         \tBytes used for inlined buckets: {} ({}%)\n",
        s.branch_page_n,
        s.branch_overflow_n,
        s.leaf_page_n,
        s.leaf_overflow_n,
        s.key_n,
        s.depth,
        s.branch_alloc,
        s.branch_inuse,
        share(s.branch_inuse, s.branch_alloc),
        s.leaf_alloc,
        s.leaf_inuse,
        share(s.leaf_inuse, s.leaf_alloc),
        s.bucket_n,
        s.inline_bucket_n,
        share(s.inline_bucket_n, s.bucket_n),
        s.inline_bucket_inuse,
        share(s.inline_bucket_inuse, s.leaf_inuse),
    )?;
    Ok(())
}

fn table(file: &RawFile<'_>, out: &mut impl Write) -> Outcome {
    let table = PageTable::new(*file)?;
    writeln!(out, "ID       TYPE       ITEMS  OVRFLW")?;
    writeln!(out, "======== ========== ====== ======")?;
    for page in table.iter() {
        let page = page?;
        let (mut items, mut overflow) = (String::new(), String::new());
        if page.used_as != PageUse::Free {
            items = page.count.to_string();
            if page.overflow > 0 {
                overflow = page.overflow.to_string();
            }
        }
        writeln!(out, "{:<8} {:<10} {items:<6} {overflow:<6}", page.id, page.used_as)?;
    }
    Ok(())
}

/// Each page, separated as bbolt does.
fn separated<W: Write>(pages: &[u64], out: &mut W, mut each: impl FnMut(u64, &mut W) -> Outcome) -> Outcome {
    for (at, page) in pages.iter().enumerate() {
        if at > 0 {
            writeln!(out, "{SEPARATOR}")?;
        }
        each(*page, out)?;
    }
    Ok(())
}

fn all_pages(file: &RawFile<'_>, format: Format, out: &mut impl Write) -> Outcome {
    let high_water = file.meta()?.high_water;
    let mut page = 0;
    while page < high_water {
        if page > 0 {
            writeln!(out, "{SEPARATOR}")?;
        }
        page += 1 + in_words(file, page, format, out)?;
    }
    Ok(())
}

/// Says of a page number past the end that there is no such page, which is no damage.
fn is_there(file: &RawFile<'_>, page: u64) -> Outcome {
    match file.pages_in_file() {
        pages if page < pages => Ok(()),
        pages => Err(Failed::Said(format!(
            "there is no page {page}: the file has pages 0 to {}",
            pages.saturating_sub(1)
        ))),
    }
}

fn hex_page(file: &RawFile<'_>, page: u64, out: &mut impl Write) -> Outcome {
    is_there(file, page)?;
    let bytes = file.bytes(page, file.page_size().into())?;
    let start = page * u64::from(file.page_size());
    let (mut before, mut skipped): (&[u8], bool) = (&[], false);
    for (line, at) in bytes.chunks(HEX_LINE).zip((start..).step_by(HEX_LINE)) {
        let last = at + HEX_LINE as u64 >= start + bytes.len() as u64;
        if line == before && !last {
            if !skipped {
                writeln!(out, "{at:07x} *")?;
            }
            skipped = true;
        } else {
            write!(out, "{at:07x}")?;
            for pair in line.chunks(2) {
                write!(out, " {}", bbolt_pages::Hex(pair))?;
            }
            writeln!(out)?;
            skipped = false;
        }
        before = line;
    }
    Ok(writeln!(out)?)
}

/// A page in words; says how many further pages belong to it. A page that cannot be shown is said to be so, and the rest goes on.
fn in_words(file: &RawFile<'_>, id: u64, format: Format, out: &mut impl Write) -> Result<u64, Failed> {
    let mut text = Vec::new();
    match page_text(file, id, format, &mut text) {
        Ok(overflow) => {
            out.write_all(&text)?;
            Ok(overflow)
        }
        Err(failed) => {
            let reason = match failed {
                Failed::Store(e) => e.to_string(),
                Failed::Said(message) => message,
                Failed::Write(e) => return Err(Failed::Write(e)),
            };
            writeln!(out, "Prining page {id} failed: {reason}. Continuing...")?;
            Ok(0)
        }
    }
}

fn page_text(file: &RawFile<'_>, id: u64, format: Format, out: &mut Vec<u8>) -> Result<u64, Failed> {
    is_there(file, id)?;
    let header = file.header(id)?;
    if header.id != id {
        // The bytes of a free page may be the middle of an old value: nothing in them means what it says.
        let (rule, found, expected) = (bbolt_pages::Rule::PageId, header.id, id);
        let damage = bbolt_pages::Damage { page: id, offset: 0, rule, found, expected };
        return Err(Failed::Store(damage.into()));
    }
    let overflow = if header.kind() == Some(PageKind::Meta) { 0 } else { u64::from(header.overflow) };
    let bytes = file.bytes(id, (overflow + 1) * u64::from(file.page_size()))?;
    writeln!(out, "Page ID:    {}", header.id)?;
    let kind = header.kind().map_or(PageUse::Unknown(header.flags), PageUse::Kind);
    writeln!(out, "Page Type:  {kind}")?;
    writeln!(out, "Total Size: {} bytes", bytes.len())?;
    writeln!(out, "Overflow pages: {overflow}")?;
    let page = match Page::new(&bytes, id) {
        Ok(page) => page,
        Err(_) => return Ok(overflow),
    };
    let damaged = |damage: bbolt_pages::Damage| Failed::Store(damage.into());
    let quoted_key = |key: &[u8]| {
        if is_printable(key) { quoted(key) } else { bbolt_pages::Hex(key).to_string() }
    };
    match page.kind() {
        PageKind::Meta => {
            let Some(meta_bytes) = bytes.first_chunk::<META_PAGE_BYTES>() else { return Ok(overflow) };
            let meta = Meta::read_unchecked(meta_bytes);
            let word =
                |at: usize| meta_bytes[at..at + 4].iter().rev().fold(0_u32, |n, b| n << 8 | u32::from(*b));
            let checksum = meta_bytes[72..].iter().rev().fold(0_u64, |n, b| n << 8 | u64::from(*b));
            write!(
                out,
                "Version:    {}\nPage Size:  {} bytes\nFlags:      {:08x}\nRoot:       <pgid={}>\n\
                 Freelist:   <pgid={}>\nHWM:        <pgid={}>\nTxn ID:     {}\nChecksum:   {checksum:016x}\n\n",
                word(20),
                meta.page_size,
                meta.flags,
                meta.root,
                meta.freelist,
                meta.high_water,
                meta.txid
            )?;
        }
        PageKind::Leaf => {
            let leaf = page.leaf().map_err(damaged)?;
            writeln!(out, "Item Count: {}\n", leaf.count())?;
            for index in 0..leaf.count() {
                let element = leaf.element(index).map_err(damaged)?;
                write!(out, "{}: ", quoted_key(element.key))?;
                if element.is_bucket() {
                    let bucket = bbolt_pages::page::BucketHeader::read(element.value, id).map_err(damaged)?;
                    writeln!(out, "<pgid={},seq={}>", bucket.root, bucket.sequence)?;
                } else {
                    out.extend_from_slice(&format.show(element.value));
                    writeln!(out)?;
                }
            }
            writeln!(out)?;
        }
        PageKind::Branch => {
            let branch = page.branch().map_err(damaged)?;
            writeln!(out, "Item Count: {}\n", branch.count())?;
            for index in 0..branch.count() {
                let (key, child) =
                    (branch.key(index).map_err(damaged)?, branch.child(index).map_err(damaged)?);
                writeln!(out, "{}: <pgid={child}>", quoted_key(key))?;
            }
            writeln!(out)?;
        }
        PageKind::Freelist => {
            let list = page.freelist().map_err(damaged)?;
            writeln!(out, "Item Count: {}\nOverflow: {overflow}\n", list.count())?;
            for id in list.ids() {
                writeln!(out, "{id}")?;
            }
            writeln!(out)?;
        }
    }
    Ok(overflow)
}

fn page_item(
    file: &RawFile<'_>,
    (id, item): (u64, u64),
    (key, value): (bool, bool),
    format: Format,
    out: &mut impl Write,
) -> Outcome {
    is_there(file, id)?;
    let overflow = u64::from(file.header(id)?.overflow);
    let bytes = file.bytes(id, (overflow + 1) * u64::from(file.page_size()))?;
    let leaf = Page::new(&bytes, id).and_then(|page| page.leaf()).map_err(bbolt_pages::Error::from)?;
    if item >= leaf.count() as u64 {
        return Err(Failed::Said(format!(
            "page {id} has items 0 to {}, not {item}",
            leaf.count().saturating_sub(1)
        )));
    }
    let element = leaf.element(item as usize).map_err(bbolt_pages::Error::from)?;
    for (wanted, bytes) in [(key, element.key), (value, element.value)] {
        if wanted {
            out.write_all(&format.show(bytes))?;
            writeln!(out)?;
        }
    }
    Ok(())
}

/// The names of the top-level buckets, and of plain keys beside them, in order.
fn top_names(tree: &Tree<'_>) -> Result<Vec<Vec<u8>>, Failed> {
    names(tree, &tree.root())
}

fn names(tree: &Tree<'_>, bucket: &bbolt_pages::FoundBucket) -> Result<Vec<Vec<u8>>, Failed> {
    let mut names = Vec::new();
    let mut walk = tree.walk_flat(bucket);
    while let Some(step) = walk.next()? {
        match step {
            Step::Bucket { path, .. } => names.extend(path.last().cloned()),
            Step::Pair { key, .. } => names.push(key.to_vec()),
            Step::Damage(damage) => return Err(Failed::Store(damage.into())),
            Step::Page(_) | Step::End => {}
        }
    }
    Ok(names)
}

fn buckets(file: &RawFile<'_>, out: &mut impl Write) -> Outcome {
    for name in top_names(&Tree::new(*file)?)? {
        out.write_all(&name)?;
        writeln!(out)?;
    }
    Ok(())
}

fn find(tree: &Tree<'_>, path: &[Vec<u8>]) -> Result<bbolt_pages::FoundBucket, Failed> {
    let shown = || {
        path.iter().fold(String::new(), |text, name| {
            format!("{text}/{}", String::from_utf8_lossy(&Format::Auto.show(name)))
        })
    };
    tree.bucket(path)?.ok_or_else(|| {
        Failed::Said(format!("bucket not found: {} (`bolt pages buckets` lists the top-level ones)", shown()))
    })
}

fn keys(file: &RawFile<'_>, path: &[Vec<u8>], format: Format, out: &mut impl Write) -> Outcome {
    let tree = Tree::new(*file)?;
    let bucket = find(&tree, path)?;
    let mut walk = tree.walk_flat(&bucket);
    while let Some(step) = walk.next()? {
        let key = match &step {
            Step::Bucket { path, .. } => path.last().map_or(&[][..], |name| name),
            Step::Pair { key, .. } => key,
            Step::Damage(damage) => return Err(Failed::Store((*damage).into())),
            Step::Page(_) | Step::End => continue,
        };
        out.write_all(&format.show(key))?;
        writeln!(out)?;
    }
    Ok(())
}

fn get(file: &RawFile<'_>, path: &[Vec<u8>], key: &[u8], format: Format, out: &mut impl Write) -> Outcome {
    let tree = Tree::new(*file)?;
    let bucket = find(&tree, path)?;
    match tree.find(&bucket, key)? {
        Some(Found::Value(value)) => {
            out.write_all(&format.show(&value))?;
            Ok(writeln!(out)?)
        }
        _ => Err(Failed::Said(format!(
            "Error key not found for key: {} hex: \"{}\"",
            quoted(key),
            bbolt_pages::Hex(key)
        ))),
    }
}

/// The tree as Go's encoder writes it, indented by four; no stack, however deep the buckets are.
fn inspect(tree: &BucketTree, out: &mut impl Write) -> io::Result<()> {
    let mut open: Vec<(&BucketTree, usize)> = vec![(tree, 0)];
    while let Some((tree, done)) = open.last_mut() {
        let tree: &BucketTree = tree;
        let at = *done;
        *done += 1;
        let depth = 8 * (open.len() - 1);
        if at == 0 {
            write!(
                out,
                "{:depth$}{{\n{:depth$}    \"name\": {},\n{:depth$}    \"keyN\": {}",
                "",
                "",
                json(&tree.name),
                "",
                tree.key_n
            )?;
            if !tree.buckets.is_empty() {
                write!(out, ",\n{:depth$}    \"buckets\": [\n", "")?;
            }
        } else if at < tree.buckets.len() {
            writeln!(out, ",")?;
        }
        if let Some(next) = tree.buckets.get(at) {
            open.push((next, 0));
        } else {
            if !tree.buckets.is_empty() {
                write!(out, "\n{:depth$}    ]", "")?;
            }
            write!(out, "\n{:depth$}}}", "")?;
            open.pop();
        }
    }
    Ok(())
}

/// A JSON string as Go writes it: `<`, `>`, `&` and the line separators escaped, each byte that is no text replaced.
fn json(name: &[u8]) -> String {
    let mut text = String::from('"');
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\u{8}' => text.push_str("\\b"),
                '\u{c}' => text.push_str("\\f"),
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..=' ' if c != ' ' => {
                    text += &format!("\\u{:04x}", u32::from(c));
                }
                c => text.push(c),
            }
        }
        text += &"\\ufffd".repeat(chunk.invalid().len());
    }
    text.push('"');
    text
}

fn repaired(file: &RawFile<'_>, output: &Path, salvaging: bool, out: &mut impl Write) -> Outcome {
    let mut told = None;
    let done = new_file(output, out, |new| {
        told = Some(repair(file, new)?);
        Ok(())
    });
    match (done, told) {
        (Ok(()), Some(told)) => {
            let which =
                if told.older { "the newest state is broken, the one before it" } else { "the newest state" };
            eprintln!(
                "{which} (transaction {}) was copied whole: {} bytes, {} free pages listed anew",
                told.txid, told.bytes, told.free_pages
            );
            Ok(())
        }
        (Err(Failed::Store(e)), _) if salvaging => {
            eprintln!("no state of this file is whole ({e}): salvaging what can be reached");
            let mut copied = Copied::default();
            let tree = Tree::new(*file)?;
            new_database(file, output, true, |target| {
                copied = salvage(&tree, target, SALVAGE_TX_BYTES)?;
                Ok(())
            })?;
            let Copied { pairs, buckets, damages, refused } = copied;
            eprintln!(
                "{pairs} keys and {buckets} buckets saved; {damages} places unreadable, {refused} entries refused"
            );
            Ok(())
        }
        (Err(Failed::Store(e)), _) => Err(Failed::Said(format!(
            "no state of this file is whole: {e}; --salvage copies what can still be reached"
        ))),
        (other, _) => other,
    }
}

/// Whether something stands at `path` that is no file: a device or a pipe, which a new file must not replace.
fn is_special(path: &Path) -> Result<bool, Failed> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            Err(Failed::Said(format!("{} is a directory: give the new file's own name", path.display())))
        }
        Ok(found) => Ok(!found.is_file()),
        Err(_) => Ok(false),
    }
}

/// Writes a new file beside `path` and gives it that name when it is whole and on disk; `-` is standard output, and devices and pipes are
/// written as they stand.
fn new_file(path: &Path, out: &mut impl Write, fill: impl FnOnce(&mut dyn Write) -> Outcome) -> Outcome {
    if path.as_os_str() == "-" {
        return fill(out);
    }
    let refuse = |e: io::Error| Failed::Said(format!("{}: {e}", path.display()));
    if is_special(path)? {
        let mut into = BufWriter::new(File::options().write(true).open(path).map_err(refuse)?);
        return fill(&mut into).and_then(|()| into.flush().map_err(refuse)).map_err(|failed| match failed {
            Failed::Write(e) => refuse(e),
            other => other,
        });
    }
    let beside = beside(path);
    let file = File::create_new(&beside).map_err(|e| Failed::Said(format!("{}: {e}", beside.display())))?;
    let mut new = BufWriter::with_capacity(1 << 20, file);
    let filled = fill(&mut new).and_then(|()| {
        let file = new.into_inner().map_err(|e| refuse(e.into_error()))?;
        file.sync_all().map_err(refuse)?;
        std::fs::rename(&beside, path).map_err(refuse)
    });
    if filled.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    filled
}

/// The contents alone, and what that saved.
fn compacted(
    file: &RawFile<'_>,
    output: &Path,
    tx_max_bytes: u64,
    no_sync: bool,
    out: &mut impl Write,
) -> Outcome {
    let tree = Tree::new(*file)?;
    new_database(file, output, !no_sync, |target| {
        compact(&tree, target, tx_max_bytes)?;
        Ok(())
    })?;
    let after =
        std::fs::metadata(output).map_err(|e| Failed::Said(format!("{}: {e}", output.display())))?.len();
    let (before, gain) = (file.file_bytes(), file.file_bytes() as f64 / after as f64);
    Ok(writeln!(out, "{before} -> {after} bytes (gain={gain:.2}x)")?)
}

/// Fills a new database with pages of the size of `file`'s, and gives it its name when it is whole.
fn new_database(
    file: &RawFile<'_>,
    path: &Path,
    sync: bool,
    fill: impl FnOnce(&Db) -> Result<(), bbolt_pages::Error>,
) -> Outcome {
    let refuse = |e: String| Failed::Said(format!("{}: {e}", path.display()));
    if is_special(path)? {
        return Err(refuse("a new database needs a file, and this is none".into()));
    }
    let beside = beside(path);
    let _ = std::fs::remove_file(&beside);
    // A size that new files cannot have (bbolt's own command takes the system's for all) becomes the nearest that they can.
    let page_size = file.page_size().clamp(1024, 65_536);
    let options = Options::new().page_size(page_size).no_sync(true).no_grow_sync(true);
    let filled = (|| -> Outcome {
        let target = options.open(&beside).map_err(|e| refuse(e.to_string()))?;
        fill(&target)?;
        // Nobody knows the new file's name yet: one wait for the disk before it gets it is enough.
        if sync {
            target.sync()?;
        }
        target.close()?;
        std::fs::rename(&beside, path).map_err(|e| refuse(e.to_string()))
    })();
    if filled.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    filled
}

/// A name of its own beside `path`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}
