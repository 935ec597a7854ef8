//! A database file as a picture: a square a page, coloured by what it is, filled as far as it is full.
//!
//! Owns [`map_svg`]. Free pages are empty squares; pages that are free now and still needed by the older meta are drawn as pending, for
//! that is what the last commit freed. Files of more pages than squares share a square between neighbours. Never fails on damage:
//! a page that cannot be read is drawn as such. Limit: [`SQUARES_MAX`] squares, so that a browser can show it.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::check::{PageSet, pages_in_use};
use crate::error::{Error, Result};
use crate::page::{FIRST_DATA_PAGE, PageKind};
use crate::raw_file::RawFile;
use crate::survey::{fill_of, free_pages};

/// Squares drawn at most.
pub const SQUARES_MAX: u64 = 16_384;
/// Squares in a row.
const COLUMNS: u64 = 128;
/// Width and height of a square with its gap, in the picture's units.
const STEP: u64 = 9;
/// The square without its gap.
const SIDE: u64 = 8;
/// Height of the heading.
const TOP: u64 = 52;
/// Room around the squares.
const MARGIN: u64 = 10;
/// From one entry of the legend to the next.
const LEGEND_STEP: u64 = 140;

/// What a square shows, in the order of the legend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Meta,
    Branch,
    Leaf,
    Overflow,
    Freelist,
    Free,
    Pending,
    Unknown,
}

const LOOKS: [(Look, &str, &str); 8] = [
    (Look::Meta, "meta", "#6b4fa0"),
    (Look::Branch, "branch", "#c0562f"),
    (Look::Leaf, "leaf", "#2f7d4f"),
    (Look::Overflow, "overflow", "#8fbf9f"),
    (Look::Freelist, "freelist", "#b58a1b"),
    (Look::Free, "free", "#ffffff"),
    (Look::Pending, "pending", "#d9d9d9"),
    (Look::Unknown, "unreadable", "#d00000"),
];

impl Look {
    fn of(kind: PageKind) -> Self {
        match kind {
            PageKind::Meta => Self::Meta,
            PageKind::Branch => Self::Branch,
            PageKind::Leaf => Self::Leaf,
            PageKind::Freelist => Self::Freelist,
        }
    }
}

/// Draws the pages of `file`.
///
/// Cost: reads every page below the high-water mark, and the tree of the older meta; the picture is put together in memory.
///
/// # Errors
/// [`Error::Refused`] if neither meta is sound, and those of reading and of `out`.
pub fn map_svg(file: &RawFile<'_>, out: &mut dyn Write) -> Result<()> {
    let write = |e: io::Error| Error::io("write", 0, e);
    let meta = file.meta()?;
    let pages = meta.high_water.min(file.pages_in_file());
    let or_none = |set: Result<PageSet>| match set {
        Err(Error::Damaged(_)) => Ok(PageSet::new(pages)),
        set => set,
    };
    let free = or_none(free_pages(*file, meta))?;
    let older = file.current().and_then(|current| file.metas()[1 - current].ok());
    let needed =
        older.map_or_else(|| Ok(PageSet::new(pages)), |older| or_none(pages_in_use(*file, older)))?;

    let each = pages.div_ceil(SQUARES_MAX).max(1);
    let mut totals = [0_u64; LOOKS.len()];
    let mut squares = String::new();
    let mut shared: Vec<(Look, f64)> = Vec::new();
    // The page that the next ones overflow from: its fill, and how many there are.
    let mut overflow_of = (0.0, 0_u32);
    for id in 0..pages {
        let (look, fill) = if overflow_of.1 > 0 {
            overflow_of.1 -= 1;
            (Look::Overflow, overflow_of.0)
        } else if id < FIRST_DATA_PAGE {
            (if file.metas()[usize::from(id == 1)].is_ok() { Look::Meta } else { Look::Unknown }, 1.0)
        } else if free.has(id) {
            (if needed.has(id) { Look::Pending } else { Look::Free }, 0.0)
        } else if let Some((kind, overflow, fill)) = fill_of(*file, id, meta.high_water)? {
            overflow_of = (fill, overflow);
            (Look::of(kind), fill)
        } else {
            (Look::Unknown, 1.0)
        };
        totals[look as usize] += 1;
        shared.push((look, fill));
        if shared.len() as u64 == each || id + 1 == pages {
            square(&mut squares, id / each, id + 1 - shared.len() as u64, &shared);
            shared.clear();
        }
    }

    let rows = pages.div_ceil(each).div_ceil(COLUMNS);
    let (width, height) = (2 * MARGIN + COLUMNS * STEP, TOP + rows * STEP + MARGIN);
    let mut head = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#f7f7f5\"/>\n\
         <text x=\"{MARGIN}\" y=\"20\">{pages} pages of {} bytes, transaction {}",
        file.page_size(),
        meta.txid
    );
    let _ = if each == 1 { write!(head, "</text>") } else { write!(head, ", {each} pages a square</text>") };
    head.push('\n');
    for (at, ((look, name, colour), total)) in (0..).zip(LOOKS.iter().zip(totals)) {
        let x = MARGIN + at * LEGEND_STEP;
        let _ = writeln!(
            head,
            "<rect x=\"{x}\" y=\"32\" width=\"{SIDE}\" height=\"{SIDE}\" fill=\"{colour}\" stroke=\"#888\" \
             stroke-width=\"0.5\"/><text x=\"{}\" y=\"40\">{name} {total}</text>",
            x + 12
        );
        debug_assert_eq!(*look as u64, at, "a look is its place in the legend");
    }
    out.write_all(head.as_bytes()).map_err(write)?;
    out.write_all(squares.as_bytes()).map_err(write)?;
    out.write_all(b"</svg>\n").map_err(write)
}

/// One square, from `first` on: the look of most of its pages, and their fill as a bar from below.
fn square(text: &mut String, index: u64, first: u64, pages: &[(Look, f64)]) {
    let count_of = |look: Look| pages.iter().filter(|(other, _)| *other == look).count();
    let most = LOOKS.iter().max_by_key(|(look, ..)| count_of(*look));
    let Some(&(look, name, colour)) = most else { return };
    let fill = pages.iter().map(|(_, fill)| fill).sum::<f64>() / pages.len() as f64;
    let (x, y) = (MARGIN + index % COLUMNS * STEP, TOP + index / COLUMNS * STEP);
    let title = match pages.len() {
        1 => format!("page {first}: {name}, {:.0} % full", fill * 100.0),
        more => {
            format!("pages {first} to {}: mostly {name}, {:.0} % full", first + more as u64 - 1, fill * 100.0)
        }
    };
    let _ = write!(
        text,
        "<g><title>{title}</title><rect x=\"{x}\" y=\"{y}\" width=\"{SIDE}\" height=\"{SIDE}\" fill=\"{colour}\" \
         fill-opacity=\"0.35\" stroke=\"{colour}\" stroke-width=\"0.5\"/>"
    );
    if matches!(look, Look::Free | Look::Pending) {
        let _ = write!(
            text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{SIDE}\" height=\"{SIDE}\" fill=\"none\" stroke=\"#bbb\" stroke-width=\"0.5\"/>"
        );
    } else {
        let bar = fill * SIDE as f64;
        let _ = write!(
            text,
            "<rect x=\"{x}\" y=\"{:.1}\" width=\"{SIDE}\" height=\"{bar:.1}\" fill=\"{colour}\"/>",
            (y + SIDE) as f64 - bar
        );
    }
    text.push_str("</g>\n");
}
