//! The strict check names the fault in every damaged fixture and finds nothing in a sound one.

use bbolt_pages::{CheckOptions, RawFile, Rule, Severity, Step, Tree, check, dump};

use crate::fixtures;

/// The rule that each damaged fixture breaks; those that cannot be opened give an error's name instead.
const FAULTS: &[(&str, Result<Rule, &str>)] = &[
    ("bad-branch-loop", Ok(Rule::PageShared)),
    ("bad-bucket-root", Ok(Rule::PageShared)),
    ("bad-bucket-value-short", Ok(Rule::BucketValue)),
    ("bad-child-past-hwm", Ok(Rule::PageInBounds)),
    ("bad-depth", Ok(Rule::LeafDepth)),
    ("bad-freelist-duplicate", Ok(Rule::FreedTwice)),
    ("bad-freelist-itself", Ok(Rule::FreelistInUse)),
    ("bad-freelist-live-page", Ok(Rule::FreelistInUse)),
    ("bad-freelist-meta-page", Ok(Rule::FreelistBounds)),
    ("bad-freelist-overflow-page", Ok(Rule::FreelistInUse)),
    ("bad-freelist-past-hwm", Ok(Rule::FreelistBounds)),
    ("bad-inline-count", Ok(Rule::ElementCount)),
    ("bad-inline-flags", Ok(Rule::InlineBucket)),
    ("bad-inline-order", Ok(Rule::KeyOrder)),
    ("bad-key-empty", Ok(Rule::KeySize)),
    ("bad-key-order", Ok(Rule::KeyOrder)),
    ("bad-leaf-count", Ok(Rule::ElementBounds)),
    ("bad-magic", Err("invalid-database")),
    ("bad-meta-both", Err("checksum")),
    ("bad-page-flags", Ok(Rule::PageKind)),
    ("bad-page-id", Ok(Rule::PageId)),
    ("bad-page-leaked", Ok(Rule::PageLeaked)),
    ("bad-page-overflow", Ok(Rule::PageShared)),
    ("bad-page-shared", Ok(Rule::PageShared)),
    ("bad-separator-high", Ok(Rule::KeySeparator)),
    ("bad-separator-low", Ok(Rule::KeySeparator)),
    ("bad-truncated", Ok(Rule::FileLength)),
    ("bad-value-past-file", Ok(Rule::ElementBounds)),
    ("bad-value-past-page", Ok(Rule::ElementBounds)),
    ("bad-values-overlap", Ok(Rule::ElementLayout)),
    ("bad-version", Err("version-mismatch")),
];

#[test]
fn every_damaged_file_is_told_by_the_rule_it_breaks() {
    let mut seen = Vec::new();
    let count = fixtures::each("damaged", ".db.gz", |name, bytes| {
        let wanted =
            FAULTS.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name} has no row"));
        let report = RawFile::new(&bytes).and_then(|file| check(&file, &CheckOptions::default()));
        match (report, wanted.1) {
            (Err(error), Err(wanted)) => assert_eq!(error.name(), wanted, "{name}"),
            (Ok(report), Ok(rule)) => {
                let text: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
                assert!(!report.is_sound(), "{name} passes");
                assert!(
                    report.findings.iter().any(|finding| finding.damage.rule == rule),
                    "{name}: {text:#?}"
                );
                let harmless = matches!(name, "bad-separator-low" | "bad-depth");
                assert_eq!(report.has_errors(), !harmless, "{name}: {text:#?}");
                assert!(!report.findings.iter().any(|finding| finding.to_string().is_empty()));
            }
            (report, wanted) => panic!("{name}: {report:?}, and not {wanted:?}"),
        }
        seen.push(name.to_owned());
    });
    if count > 0 {
        assert_eq!(seen.len(), FAULTS.len());
    }
}

#[test]
fn no_sound_file_is_accused() {
    fixtures::each("", ".db.gz", |name, bytes| {
        let file = RawFile::new(&bytes).expect("a file");
        let report = check(&file, &CheckOptions::default()).expect("a report");
        let text: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        assert!(report.is_sound() && report.complete, "{name}: {text:#?}");
        let torn = matches!(name, "meta-newest-torn" | "meta0-zero");
        assert_eq!(report.unsound_meta.is_some(), torn, "{name}");
        // At rest the older meta's state is whole as well.
        if !torn {
            let older =
                check(&file, &CheckOptions { older: true, ..CheckOptions::default() }).expect("a report");
            let text: Vec<String> = older.findings.iter().map(ToString::to_string).collect();
            assert!(older.is_sound(), "{name}, older state: {text:#?}");
            assert!(older.meta.txid < report.meta.txid, "{name}");
        }
    });
}

#[test]
fn findings_are_bounded_and_counted() {
    fixtures::each("damaged", "bad-leaf-count.db.gz", |_, bytes| {
        let file = RawFile::new(&bytes).expect("a file");
        let all = check(&file, &CheckOptions::default()).expect("a report");
        let none =
            check(&file, &CheckOptions { findings_max: 0, ..CheckOptions::default() }).expect("a report");
        assert_eq!(none.findings_omitted, all.findings.len() as u64);
        assert!(!none.is_sound() && none.has_errors());
    });
}

#[test]
fn a_subtree_is_checked_alone() {
    fixtures::each("damaged", "bad-key-order.db.gz", |_, bytes| {
        let file = RawFile::new(&bytes).expect("a file");
        let page = check(&file, &CheckOptions::default()).expect("a report").findings[0].damage.page;
        let under = |page| {
            let options = CheckOptions { from_page: Some(page), ..CheckOptions::default() };
            check(&file, &options).expect("a report")
        };
        let report = under(page);
        assert_eq!((report.findings.len(), report.findings[0].damage.rule), (1, Rule::KeyOrder));
        assert_eq!(report.findings[0].severity, Severity::Error);
        assert!(!under(u64::MAX).is_sound(), "a page that does not exist");
    });
}

#[test]
fn every_sound_file_dumps_byte_for_byte() {
    let mut dumps = std::collections::HashMap::new();
    fixtures::each("", ".dump.gz", |name, bytes| {
        dumps.insert(name.to_owned(), bytes);
    });
    let files = fixtures::each("", ".db.gz", |name, bytes| {
        let tree = Tree::new(RawFile::new(&bytes).expect("a file")).expect("a sound meta");
        let mut text = Vec::new();
        dump(&tree, &mut text).expect("a dump");
        assert!(text == dumps[name], "{name}: {} bytes of dump, {} expected", text.len(), dumps[name].len());
    });
    assert_eq!(files, dumps.len());
}

#[test]
fn damaged_files_end_in_an_error_or_the_right_words_and_the_walk_goes_on_behind_damage() {
    fixtures::each("damaged", ".db.gz", |name, bytes| {
        let Ok(tree) = RawFile::new(&bytes).and_then(Tree::new) else { return };
        let _ = dump(&tree, &mut std::io::sink());
        let mut walk = tree.walk(&tree.root());
        let (mut steps, mut open, mut ended) = (0_u32, 0_u32, 0_u32);
        while let Some(step) = walk.next().expect("memory has no errors") {
            steps += 1;
            open += u32::from(matches!(step, Step::Bucket { .. }));
            ended += u32::from(matches!(step, Step::End));
            assert!(steps < 100_000, "{name} walks without end");
        }
        assert_eq!(open, ended, "{name}: every bucket that begins ends");
        assert!(steps > 10, "{name}: only {steps} steps");
    });
}
