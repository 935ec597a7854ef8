//! A directory of one test's own, gone when the test ends.

use std::path::{Path, PathBuf};

pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bbolt-pages-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a scratch directory");
        Self(path)
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Writes in the middle of a file, whoever else has it open.
#[cfg(unix)]
pub(crate) fn write_at(file: &std::fs::File, offset: u64, bytes: &[u8]) {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset).expect("a write");
}

/// As on Unix.
#[cfg(windows)]
pub(crate) fn write_at(file: &std::fs::File, offset: u64, bytes: &[u8]) {
    let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset).expect("a write");
    assert_eq!(written, bytes.len());
}
