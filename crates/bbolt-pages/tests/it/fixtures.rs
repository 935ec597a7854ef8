//! The databases that the real bbolt wrote, and the damaged ones: where they are, and how to unpack them.
//!
//! Owns no test. A checkout without them fails; the packaged crate, which leaves them out, passes over.

use std::io::Read;
use std::path::{Path, PathBuf};

/// The fixtures' directory; `None` in the packaged crate.
pub(crate) fn directory() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fixtures = here.join("tests").join("fixtures");
    let packaged = here.join("Cargo.toml.orig").exists();
    assert!(fixtures.is_dir() || packaged, "{} is missing from this checkout", fixtures.display());
    fixtures.is_dir().then_some(fixtures)
}

/// A packed file's contents.
pub(crate) fn unpack(path: &Path) -> Vec<u8> {
    let packed = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut bytes).expect("a gzip file");
    bytes
}

/// Name and contents of every `*SUFFIX` in a folder of the fixtures, one at a time, by name.
pub(crate) fn each(folder: &str, suffix: &str, mut visit: impl FnMut(&str, Vec<u8>)) -> usize {
    let Some(directory) = directory() else { return 0 };
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory.join(folder))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no {suffix} in {folder}");
    for path in &paths {
        let name = path.file_name().expect("a name").to_string_lossy();
        let bytes = if suffix.ends_with(".gz") { unpack(path) } else { std::fs::read(path).expect("a file") };
        visit(name.strip_suffix(suffix).expect("the suffix"), bytes);
    }
    paths.len()
}
