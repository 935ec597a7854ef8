//! Other processes: this test binary starts itself again, with a role and a file in its environment.
//!
//! Owns the roles' names and how a child is started. What a role does stands beside the test that needs it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const ROLE: &str = "BBOLT_CHILD_ROLE";
const FILE: &str = "BBOLT_CHILD_FILE";
const NUMBER: &str = "BBOLT_CHILD_NUMBER";

/// A child's command: it runs the one test below, which runs the role.
pub(crate) fn command(role: &str, file: &Path, number: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    with_role(&mut command, role, file, number);
    command
}

/// As [`command`], under a shell that first runs `limits`.
#[cfg(unix)]
pub(crate) fn limited(limits: &str, role: &str, file: &Path, number: u64) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{limits}; exec \"$@\"")).arg("sh");
    command.arg(std::env::current_exe().expect("this binary"));
    with_role(&mut command, role, file, number);
    command
}

/// What this binary is told, behind its name.
fn with_role(command: &mut Command, role: &str, file: &Path, number: u64) {
    command.args(["child::the_other_process", "--exact", "--nocapture"]);
    command.env(ROLE, role).env(FILE, file).env(NUMBER, number.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
}

pub(crate) fn start(mut command: Command) -> Child {
    command.spawn().expect("a process")
}

/// As [`limited`], where `mounts` are the file systems of the child alone; `None`, and a line that says so, where this user may mount nothing.
#[cfg(target_os = "linux")]
pub(crate) fn mounted(mounts: &str, role: &str, file: &Path) -> Option<Output> {
    // Who is no superuser may still be one in a namespace of its own.
    let own = "if [ $(id -u) = 0 ]; then own=-m; else own=-rm; fi";
    let inside = |then: &str| {
        format!("{own}; set -- unshare $own sh -c '{{ {mounts}; }} || exit 97; {then}' sh \"$@\"")
    };
    let tried = start(limited(&inside("exit 0"), role, file, 0)).wait_with_output().expect("an end");
    if !tried.status.success() {
        let why = String::from_utf8_lossy(&tried.stderr);
        // Not by `eprintln!`: that is kept back from whoever reads a test's success.
        let _ =
            writeln!(std::io::stderr(), "LEFT OUT: {role}, since this user may mount nothing here: {why}");
        return None;
    }
    Some(start(limited(&inside("exec \"$@\""), role, file, 0)).wait_with_output().expect("an end"))
}

/// What a child says when it has done all it was to do.
pub(crate) fn tell(word: &str) {
    let _ = writeln!(std::io::stderr(), "told: {word}");
}

/// The child came to its end, and not by doing nothing.
pub(crate) fn assert_told(output: &Output, word: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains(&format!("told: {word}")), "{}: {text}", output.status);
}

/// Nothing by itself: in a child it is what the parent's test wants done, and fails as that does.
#[test]
fn the_other_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = PathBuf::from(std::env::var_os(FILE).expect("a file"));
    let number = std::env::var(NUMBER).ok().and_then(|text| text.parse().ok()).expect("a number");
    match role.as_str() {
        "commit until killed" => crate::kill::commit_until_killed(&path, number),
        "hold the lock" => crate::outside::hold_the_lock(&path),
        "fill the disk" => crate::outside::fill_the_disk(&path),
        "fill the disk by a map" => crate::writable::fill_the_disk(&path),
        #[cfg(unix)]
        "store into holes" => crate::writable::store_into_holes(&path),
        #[cfg(unix)]
        "read what may be read" => crate::outside::read_what_may_be_read(&path),
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        "work in little memory" => crate::large::work_in_little_memory(&path, number),
        other => panic!("no such role: {other}"),
    }
}
