//! `apply FILE [option=value …] < SCRIPT`: runs a script of the oracle's language on a database and prints the oracle's result lines.
//!
//! Owns the command line; the language is in `script.rs`. `writablemap=1`, of which the oracle knows nothing, has commits store into the mapping; `leaveskept=N` has transactions keep that many
//! leaves and write the others early.
//! Explanations go to standard error. Exit codes: 0 done, 1 a malformed line or a failed close, 64 usage.
//!
//! unsafe: allowed here

mod script;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(path) = words.next() else {
        eprintln!(
            "usage: apply FILE [option=value ...] < SCRIPT; xtask/bbolt-oracle/README.md tells the language"
        );
        return ExitCode::from(64);
    };
    let mut runner = script::Runner::new(path.into());
    for word in words {
        if word == "writablemap=1" {
            // SAFETY: all code of this process is safe but for the store's own, so nothing stores through stray pointers.
            runner.change_options(|options| unsafe { options.writable_map(true) });
            continue;
        }
        if let Some(leaves) = word.strip_prefix("leaveskept=").and_then(|leaves| leaves.parse().ok()) {
            runner.change_options(|options| options.leaves_kept(leaves));
            continue;
        }
        if let Err(error) = runner.option(&word) {
            eprintln!("{word}: {error:?}");
            return ExitCode::from(1);
        }
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let ran = runner.run(io::stdin().lock(), &mut out).and_then(|()| out.flush());
    match ran {
        Ok(()) if !runner.malformed() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::from(1),
        Err(error) => {
            eprintln!("apply: {error}");
            ExitCode::from(1)
        }
    }
}
