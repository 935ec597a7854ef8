//! How the command ends: the exit codes, and the words on standard error that go with them.
//!
//! `0` done, `1` the server, the network or this machine said no, `2` the command line is wrong, `130` interrupted. A reader of standard
//! output that has had enough (`| head`) is no failure: the command ends quietly with `0`.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::args::UsageError;

/// The exit code after Ctrl-C: 128 and the number of SIGINT, as shells expect.
pub(crate) const INTERRUPTED: u8 = 130;

/// A reason to end other than having finished.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The command line is wrong.
    Usage(UsageError),
    /// Something failed; the sentence says what, and what to do next.
    Failed(String),
    /// Ctrl-C.
    Interrupted,
    /// Nobody reads the output any more.
    Quiet,
}

impl Stop {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Stop::Failed(message.into())
    }

    /// Says why, and gives the code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Stop::Usage(e) => {
                say("error: ", e);
                ExitCode::from(2)
            }
            Stop::Failed(message) => {
                say("error: ", message);
                ExitCode::from(1)
            }
            Stop::Interrupted => {
                say("", "interrupted");
                ExitCode::from(INTERRUPTED)
            }
            Stop::Quiet => ExitCode::SUCCESS,
        }
    }
}

/// Standard error may be closed; that is no reason to fall over.
fn say(what: &str, message: impl Display) {
    let _ = writeln!(io::stderr(), "{what}{message}");
}

impl From<UsageError> for Stop {
    fn from(e: UsageError) -> Self {
        Stop::Usage(e)
    }
}
