//! Backups are what they were copied from, and a repaired copy is sound and holds what can be had.

use bbolt_pages::{CheckOptions, RawFile, Tree, backup, check, dump, map_svg, repair};

use crate::fixtures;

fn dump_of(bytes: &Vec<u8>) -> Vec<u8> {
    let tree = Tree::new(RawFile::new(bytes).expect("a file")).expect("a sound meta");
    let mut text = Vec::new();
    dump(&tree, &mut text).expect("a dump");
    text
}

fn assert_sound(name: &str, bytes: &Vec<u8>) {
    let report = check(&RawFile::new(bytes).expect("a file"), &CheckOptions::default()).expect("a report");
    assert!(report.is_sound() && report.unsound_meta.is_none(), "{name}: {:#?}", report.findings);
    let older = check(
        &RawFile::new(bytes).expect("a file"),
        &CheckOptions { older: true, ..CheckOptions::default() },
    );
    assert!(older.expect("a report").is_sound(), "{name}, the older meta");
}

#[test]
fn a_backup_has_two_metas_and_every_page_in_use() {
    fixtures::each("", ".db.gz", |name, bytes| {
        let file = RawFile::new(&bytes).expect("a file");
        let mut copy = Vec::new();
        let told = backup(&file, &mut copy).expect("a backup");
        let meta = file.meta().expect("a meta");
        assert_eq!(told, copy.len() as u64);
        assert_eq!(told, meta.high_water * u64::from(meta.page_size), "{name}");
        assert_sound(name, &copy);
        let of_copy = RawFile::new(&copy).expect("a file");
        assert_eq!((of_copy.current(), of_copy.meta().expect("a meta")), (Some(0), meta));
        if bytes.len() < 1 << 20 {
            assert_eq!(dump_of(&copy), dump_of(&bytes), "{name}");
        }
    });
}

#[test]
fn a_repaired_sound_file_holds_the_same() {
    fixtures::each("", ".db.gz", |name, bytes| {
        let mut copy = Vec::new();
        let done = repair(&RawFile::new(&bytes).expect("a file"), &mut copy).expect("a repair");
        assert!(!done.older, "{name}");
        assert_eq!(done.bytes, copy.len() as u64);
        assert_sound(name, &copy);
        if bytes.len() < 1 << 20 {
            assert_eq!(dump_of(&copy), dump_of(&bytes), "{name}");
        }
    });
}

/// What is wrong with the free list, the metas or only with the newest commit, a repair cures; what is wrong in both states' trees it
/// refuses and writes nothing.
#[test]
fn damage_outside_the_tree_is_cured() {
    let mut cured = Vec::new();
    fixtures::each("damaged", ".db.gz", |name, bytes| {
        let mut copy = Vec::new();
        match RawFile::new(&bytes).and_then(|file| repair(&file, &mut copy)) {
            Ok(done) => {
                if matches!(name, "bad-depth" | "bad-separator-low") {
                    // Harmless in itself: what a reader sees is right, and stays as it is.
                    let report = check(&RawFile::new(&copy).expect("a file"), &CheckOptions::default());
                    assert!(!report.expect("a report").has_errors(), "{name}");
                } else {
                    assert_sound(name, &copy);
                }
                assert!(dump_of(&copy).len() > 100, "{name}");
                cured.push((name.to_owned(), done.older));
            }
            Err(error) => {
                assert!(copy.is_empty(), "{name}: {error}, and yet something was written");
                assert!(error.damage().is_some() || error.name() != "io", "{name}: {error}");
            }
        }
    });
    if !cured.is_empty() {
        for name in ["duplicate", "itself", "live-page", "meta-page", "overflow-page", "past-hwm"] {
            let wanted = (format!("bad-freelist-{name}"), false);
            assert!(cured.contains(&wanted), "{wanted:?} is not among {cured:?}");
        }
        assert!(cured.contains(&("bad-page-leaked".to_owned(), false)), "{cured:?}");
    }
}

#[test]
fn a_picture_is_drawn_of_every_file() {
    for folder in ["", "damaged"] {
        fixtures::each(folder, ".db.gz", |name, bytes| {
            let file = RawFile::new(&bytes).expect("a file");
            let mut picture = Vec::new();
            if let Err(error) = map_svg(&file, &mut picture) {
                assert!(matches!(name, "bad-magic" | "bad-meta-both" | "bad-version"), "{name}: {error}");
                return;
            }
            let text = String::from_utf8(picture).expect("text");
            assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"), "{name}");
            let pages = file.meta().expect("a meta").high_water.min(file.pages_in_file());
            assert_eq!(
                text.matches("<title>").count() as u64,
                pages.div_ceil(pages.div_ceil(16_384)),
                "{name}"
            );
            for tag in ["<g>", "<text"] {
                let end = tag.replace('<', "</").replace("text", "text>");
                assert_eq!(text.matches(tag).count(), text.matches(end.as_str()).count(), "{name} {tag}");
            }
            assert!(text.len() < 8 << 20, "{name}: {} bytes", text.len());
        });
    }
}
