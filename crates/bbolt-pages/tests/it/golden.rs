//! The golden scripts: what the real bbolt answered to every operation, and what it held at the end.

use std::fs::File;

use bbolt_pages::{CheckOptions, Options, RawFile, Tree, check, dump};

use crate::fixtures;
use crate::scratch::Scratch;
use crate::writable::writable;

#[path = "../../examples/apply/script.rs"]
mod script;

/// Twice: with pages that are written, and with pages that are stored into the mapping.
fn assert_golden(name: &str, text: &[u8], results: &[u8], contents: &[u8]) {
    assert_golden_by(name, text, results, contents, |options| options);
    assert_golden_by(name, text, results, contents, writable);
}

fn assert_golden_by(
    name: &str,
    text: &[u8],
    results: &[u8],
    contents: &[u8],
    change: impl FnOnce(Options) -> Options,
) {
    let scratch = Scratch::new(&format!("golden-{name}"));
    let path = scratch.path("x.db");
    let mut runner = script::Runner::new(path.clone());
    runner.change_options(change);
    let mut out = Vec::new();
    runner.run(text, &mut out).expect("a script that ends");
    assert!(!runner.malformed(), "{name} is understood");
    let (ours, theirs) = (String::from_utf8_lossy(&out), String::from_utf8_lossy(results));
    for (line, (ours, theirs)) in ours.lines().zip(theirs.lines()).enumerate() {
        assert_eq!(ours, theirs, "{name}, line {}", line + 1);
    }
    assert_eq!(ours.lines().count(), theirs.lines().count(), "{name}");
    let file = File::open(&path).expect("the database");
    let raw = RawFile::new(&file).expect("a file");
    let report = check(&raw, &CheckOptions::default()).expect("a report");
    assert!(report.is_sound(), "{name}: {:#?}", report.findings);
    let mut text = Vec::new();
    dump(&Tree::new(raw).expect("a meta"), &mut text).expect("a dump");
    assert!(text == contents, "{name}: the contents differ");
}

#[test]
fn the_golden_scripts_give_the_golden_results() {
    let Some(directory) = fixtures::directory() else { return };
    let scripts = directory.join("scripts");
    let count = fixtures::each("scripts", ".txt.gz", |name, text| {
        let results = fixtures::unpack(&scripts.join(format!("{name}.out.gz")));
        let contents = fixtures::unpack(&scripts.join(format!("{name}.dump.gz")));
        assert_golden(name, &text, &results, &contents);
    });
    assert!(count >= 8);
}

#[test]
fn the_script_by_hand_gives_every_error_its_name() {
    let Some(directory) = fixtures::directory() else { return };
    let read = |name: &str| std::fs::read(directory.join("scripts").join(name)).expect("a file");
    let contents = fixtures::unpack(&directory.join("scripts/basics.dump.gz"));
    assert_golden("basics", &read("basics.txt"), &read("basics.out"), &contents);
}
