//! `bolt pages` on databases that the real bbolt wrote: bbolt's words, its exit codes, and no crash on the damaged ones.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::support::{Done, bolt, done};

/// A directory of its own, removed with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bolt-pages-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    /// A fixture, unpacked; `None` outside the workspace.
    fn fixture(&self, name: &str) -> Option<String> {
        let path = self.0.join(name.replace('/', "-"));
        std::fs::write(&path, unpacked(&format!("{name}.db.gz"))?).expect("a file");
        Some(path.to_string_lossy().into_owned())
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bbolt-pages/tests/fixtures")
}

fn unpacked(name: &str) -> Option<Vec<u8>> {
    let packed = std::fs::read(fixtures().join(name)).ok()?;
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).expect("a gzip file");
    Some(bytes)
}

fn pages(words: &[&str]) -> Done {
    let mut all = vec!["pages"];
    all.extend_from_slice(words);
    done(&mut bolt(&all))
}

#[test]
fn looking_says_what_bbolt_says() {
    let scratch = Scratch::new("look");
    let Some(file) = scratch.fixture("nested") else { return };
    assert_eq!(pages(&["info", &file]).ok(), "Page Size: 4096\n");
    assert_eq!(pages(&["check", &file]).ok(), "OK\n");
    assert_eq!(pages(&["buckets", &file]).ok(), "top-0\ntop-1\ntop-2\ntop-3\n");
    let table = pages(&["pages", &file]).ok();
    let wanted = "ID       TYPE       ITEMS  OVRFLW\n======== ========== ====== ======\n\
                  0        meta       0            \n1        meta       0            \n\
                  2        free                    \n3        free                    \n\
                  4        leaf       41           \n";
    assert!(table.starts_with(wanted), "{table}");
    assert_eq!(table.lines().count(), 2 + 120);
    let words = pages(&["page", &file, "0"]).ok();
    assert!(
        words.contains("Root:       <pgid=118>\nFreelist:   <pgid=119>\nHWM:        <pgid=120>\n"),
        "{words}"
    );
    let stats = pages(&["stats", &file]).ok();
    for line in [
        "Aggregate statistics for 4 buckets",
        "\tNumber of keys/value pairs: 2424",
        "\tNumber of levels in B+tree: 13",
        "\tBytes actually used for leaf data: 207736 (52%)",
        "\tBytes used for inlined buckets: 64 (0%)",
    ] {
        assert!(stats.lines().any(|found| found == line), "{line}\n{stats}");
    }
    let keys = pages(&["keys", &file, "top-0"]).ok();
    assert!(keys.starts_with("key-0-0000\nkey-0-0001\n"), "{keys}");
    let hex = pages(&["keys", &file, "top-0", "--format", "hex"]).ok();
    let key = hex.lines().next().expect("a key");
    let by_name = pages(&["get", &file, "top-0", "key-0-0000"]).ok();
    assert_eq!(pages(&["get", &file, "top-0", key, "--parse-format", "hex"]).ok(), by_name);
    assert!(
        pages(&["inspect", &file])
            .ok()
            .starts_with("{\n    \"name\": \"root\",\n    \"keyN\": 0,\n    \"buckets\": [\n")
    );
    assert!(
        pages(&["dump", &file, "0"]).ok().starts_with("0000000 0000 0000 0000 0000 0400 0000 0000 0000\n")
    );
}

#[test]
fn what_is_not_there_is_said() {
    let scratch = Scratch::new("missing");
    let Some(file) = scratch.fixture("nested") else { return };
    for (words, part) in [
        (&["get", &file, "top-0", "nope"][..], "Error key not found for key: \"nope\" hex: \"6e6f7065\""),
        (&["get", &file, "nope", "x"], "bucket not found: /nope"),
        (&["keys", &file, "top-0", "nope"], "bucket not found: /top-0/nope"),
        (&["page-item", &file, "4", "1000"], "items 0 to 40"),
        (&["info", &scratch.file("none.db")], "no such file"),
        (&["info", &scratch.file(".")], "a directory"),
        (&["dump", &file, "120"], "there is no page 120: the file has pages 0 to"),
        (&["check", &file, "--from-page", "99999999"], "99999999"),
        (&["page-item", &file, "99999999", "0"], "there is no page 99999999"),
        (&["backup", &file, "-o", &scratch.file(".")], "is a directory"),
        (&["compact", &file, "-o", &scratch.file("none/new.db")], "none/new.db: "),
    ] {
        let done = pages(words);
        assert_eq!(done.code(), 1, "{words:?}");
        assert!(done.err.contains(part), "{words:?}: {}", done.err);
    }
    assert_eq!(pages(&["polish", &file]).code(), 2);
}

/// A device is written to and stays what it is; it was replaced by the new file once.
#[test]
#[cfg(target_os = "linux")]
fn a_device_is_not_replaced_by_a_new_file() {
    let scratch = Scratch::new("device");
    let Some(file) = scratch.fixture("nested") else { return };
    let is_device = || !std::fs::metadata("/dev/full").expect("a device").is_file();
    let device = scratch.file("full");
    std::os::unix::fs::symlink("/dev/full", &device).expect("a link");
    for (command, part) in [("backup", "No space"), ("map", "No space"), ("compact", "needs a file")] {
        let done = pages(&[command, &file, "-o", &device]);
        assert_eq!(done.code(), 1, "{command}");
        assert!(done.err.contains(part), "{command}: {}", done.err);
        assert!(is_device() && std::fs::symlink_metadata(&device).expect("a link").is_symlink());
    }
}

#[test]
fn dumps_are_canonical() {
    let scratch = Scratch::new("dump");
    for name in ["odd-keys", "no-freelist-sync", "meta-newest-torn", "root-plain-key", "empty"] {
        let Some(file) = scratch.fixture(name) else { return };
        let wanted = String::from_utf8(unpacked(&format!("{name}.dump.gz")).expect("a dump")).expect("text");
        assert_eq!(pages(&["dump", &file]).ok(), wanted, "{name}");
    }
}

#[test]
fn check_ends_with_0_or_1_and_repair_cures_the_free_list() {
    let scratch = Scratch::new("check");
    if let Ok(folder) = std::fs::read_dir(fixtures().join("damaged")) {
        for entry in folder {
            let name = entry.expect("an entry").file_name().to_string_lossy().replace(".db.gz", "");
            let file = scratch.fixture(&format!("damaged/{name}")).expect("a fixture");
            let done = pages(&["check", &file]);
            assert_eq!(done.code(), 1, "{name}: {done:?}");
            assert!(done.out.contains("errors found") || done.err.contains("error"), "{name}: {done:?}");
            for command in ["pages", "stats", "dump", "inspect", "map", "info"] {
                let code = pages(&[command, &file]).code();
                assert!(code == 0 || code == 1, "{command} {name} ended with {code}");
            }
        }
        let file = scratch.fixture("damaged/bad-freelist-live-page").expect("a fixture");
        let (sound, copy) = (scratch.file("sound.db"), scratch.file("copy.db"));
        pages(&["repair", "-o", &sound, &file]).ok();
        assert_eq!(pages(&["check", &sound]).ok(), "OK\n");
        pages(&["backup", "-o", &copy, &sound]).ok();
        assert_eq!(pages(&["dump", &copy]).ok(), pages(&["dump", &sound]).ok());
        let small = scratch.file("small.db");
        let told = pages(&["compact", "-o", &small, &sound]).ok();
        assert!(told.contains(" bytes (gain=") && told.ends_with("x)\n"), "{told}");
        assert_eq!(pages(&["check", &small]).ok(), "OK\n");
        assert_eq!(pages(&["dump", &small]).ok(), pages(&["dump", &sound]).ok());
        let broken = scratch.fixture("damaged/bad-key-order").expect("a fixture");
        let done = pages(&["repair", "-o", &scratch.file("never.db"), &broken]);
        let saved = scratch.file("saved.db");
        pages(&["repair", "--salvage", "-o", &saved, &broken]).ok();
        assert_eq!(pages(&["check", &saved]).ok(), "OK\n");
        if done.code() != 0 {
            assert!(!Path::new(&scratch.file("never.db")).exists(), "nothing half-made is left: {done:?}");
        }
    }
}

#[test]
fn a_torn_meta_is_noted_and_not_held_against_the_file() {
    let scratch = Scratch::new("torn");
    let Some(file) = scratch.fixture("meta-newest-torn") else { return };
    let done = pages(&["check", &file]);
    assert_eq!((done.code(), done.out.as_str()), (0, "OK\n"));
    assert!(done.err.contains("note: meta page 1 is unsound"), "{}", done.err);
}
