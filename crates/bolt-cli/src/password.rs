//! Where a password comes from: a file, the environment, a prompt without echo, or (for a server) a made-up one.
//!
//! Never from the command line, never printed except the made-up one, once. The prompt restores the terminal on every way out of it.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use crate::interrupt::Interrupts;

/// The variable that is looked at when no file is named.
pub(crate) const VARIABLE: &str = "BOLT_PASSWORD";
/// A password file beyond this is not a password file.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// From `--password-file` or `BOLT_PASSWORD`; `Ok(None)` when neither is there.
///
/// # Errors
/// A sentence when the file cannot be read or the variable is not UTF-8.
pub(crate) fn given(file: Option<&Path>) -> Result<Option<String>, String> {
    if let Some(path) = file {
        let shown = path.display();
        let about = |e: io::Error| format!("the password file {shown} cannot be read: {e}");
        if fs::metadata(path).map_err(about)?.len() > FILE_BYTES_MAX {
            return Err(format!("the password file {shown} is larger than {FILE_BYTES_MAX} bytes"));
        }
        let text = fs::read_to_string(path).map_err(about)?;
        return match text.lines().next() {
            Some(line) if !line.is_empty() => Ok(Some(line.to_owned())),
            _ => Err(format!("the password file {shown} has an empty first line")),
        };
    }
    match std::env::var(VARIABLE) {
        Ok(password) => Ok(Some(password)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("{VARIABLE} is not UTF-8")),
    }
}

/// Asks on the terminal, without echo.
///
/// # Errors
/// A sentence when there is no terminal to ask on.
pub(crate) fn ask(user: &str, interrupts: &Interrupts) -> Result<String, String> {
    let missing = || {
        format!(
            "no password for {user}, and no terminal to ask on: set {VARIABLE}, give --password-file FILE, or --no-auth"
        )
    };
    if !io::stderr().is_terminal() {
        return Err(missing());
    }
    let _ = write!(io::stderr(), "password of {user}: ");
    let _ = io::stderr().flush();
    let line = read_line_without_echo(interrupts).map_err(|_| missing())?;
    let _ = writeln!(io::stderr());
    Ok(line)
}

/// Reads from the controlling terminal itself, so that a query may come from standard input.
#[cfg(unix)]
fn read_line_without_echo(interrupts: &Interrupts) -> io::Result<String> {
    use std::io::BufRead;

    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

    let terminal = fs::File::open("/dev/tty")?;
    let before = tcgetattr(&terminal)?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    let same = terminal.try_clone()?;
    // Also when a signal ends the command while it waits here.
    interrupts.on_exit(move || {
        let _ = tcsetattr(&same, OptionalActions::Flush, &before);
    });
    let mut line = String::new();
    let outcome = tcsetattr(&terminal, OptionalActions::Flush, &quiet)
        .map_err(io::Error::from)
        .and_then(|()| io::BufReader::new(&terminal).read_line(&mut line));
    interrupts.clear_on_exit();
    if outcome? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end_matches(['\n', '\r']).len());
    Ok(line)
}

/// No way to switch echo off here without unsafe code, so nothing is asked.
#[cfg(not(unix))]
fn read_line_without_echo(_: &Interrupts) -> io::Result<String> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A password nobody can guess: 128 bits from the standard library's per-process random keys, mixed with the time and the process id.
///
/// The keys of `RandomState` come from the operating system's generator; two of them are drawn, hashed with SipHash, and written in hex.
pub(crate) fn made_up() -> String {
    use std::hash::{BuildHasher, RandomState};
    use std::time::SystemTime;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_nanos());
    let word = |salt: u8| RandomState::new().hash_one((salt, now, std::process::id()));
    format!("{:016x}{:016x}", word(1), word(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_passwords_differ() {
        let (a, b) = (made_up(), made_up());
        assert_ne!(a, b);
        assert!(a.len() == 32 && a.bytes().all(|c| c.is_ascii_hexdigit()), "{a}");
    }

    #[test]
    fn a_file_gives_its_first_line() {
        let path = std::env::temp_dir().join(format!("bolt-password-{}", std::process::id()));
        fs::write(&path, "secret\r\nmore\n").expect("a file");
        assert_eq!(given(Some(&path)), Ok(Some("secret".into())));
        fs::write(&path, "\nsecret").expect("a file");
        assert!(given(Some(&path)).is_err());
        fs::remove_file(&path).expect("removed");
        assert!(given(Some(&path)).expect_err("gone").contains("cannot be read"));
    }
}
