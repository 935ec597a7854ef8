//! Other processes: this test binary starts itself again, with a role and a file in its environment.
//!
//! Owns the roles' names and how a child is started. What a role does stands beside the test that needs it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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
        "read what may be read" => crate::outside::read_what_may_be_read(&path),
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        "work in little memory" => crate::large::work_in_little_memory(&path, number),
        other => panic!("no such role: {other}"),
    }
}
