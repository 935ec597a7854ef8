//! `interop`: one suite through `bolt-client` against one real server, a line a check.
//!
//! Owns the checks and the list of what each kind of server is known not to support, with the reason; starts no
//! server itself (`cargo xtask interop` does). A check ends as `ok`, `FAILED`, or `unsupported` with a reason that is
//! printed: nothing is skipped without a line. A check for which a server is listed as lacking something must really
//! see it lacking, so that the list cannot grow stale.
#![forbid(unsafe_code)]

mod checks;
mod server;

use std::process::ExitCode;
use std::time::Instant;

use server::{Kind, Target};

const USAGE: &str = "usage: interop --kind neo4j-5.26|neo4j-2026.08|neo4j-4.4|arcadedb|kglite --address HOST:PORT \
--user NAME --password WORD [--tls-only HOST:PORT] [--noops] [--records N] [--only CHECK]";

fn main() -> ExitCode {
    let target = match parse(std::env::args().skip(1)) {
        Ok(target) => target,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let (mut passed, mut failed, mut unsupported) = (0, 0, 0);
    for (name, check) in checks::ALL {
        if target.only.as_deref().is_some_and(|only| only != *name) {
            continue;
        }
        let began = Instant::now();
        let result = check(&target);
        let seconds = began.elapsed().as_secs_f64();
        let kind = target.kind.name();
        match result {
            Ok(checks::Seen::Works) => {
                passed += 1;
                println!("{kind} {name} ok {seconds:.2}s");
            }
            Ok(checks::Seen::Partly(reasons)) => {
                passed += 1;
                println!("{kind} {name} ok {seconds:.2}s");
                for reason in reasons {
                    println!("{kind} {name} unsupported: {reason}");
                }
            }
            Ok(checks::Seen::Unsupported(reason)) => {
                unsupported += 1;
                println!("{kind} {name} unsupported: {reason}");
            }
            Err(why) => {
                failed += 1;
                println!("{kind} {name} FAILED {seconds:.2}s: {why}");
            }
        }
    }
    println!("{passed} passed, {failed} failed, {unsupported} skipped");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Target, String> {
    let (mut kind, mut address, mut user, mut password) = (None, None, None, None);
    let (mut tls_only, mut noops, mut records, mut only) = (None, false, 1_000_000, None);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{flag} needs a value"));
        match flag.as_str() {
            "--kind" => {
                let name = value()?;
                kind = Some(Kind::from_name(&name).ok_or(format!("unknown kind of server {name:?}"))?);
            }
            "--address" => address = Some(value()?),
            "--user" => user = Some(value()?),
            "--password" => password = Some(value()?),
            "--tls-only" => tls_only = Some(value()?),
            "--noops" => noops = true,
            "--records" => {
                records = value()?.parse().map_err(|e| format!("--records wants a number: {e}"))?;
            }
            "--only" => only = Some(value()?),
            other => return Err(format!("unknown argument {other:?}")),
        }
    }
    let need = |what: &str, value: Option<String>| value.ok_or(format!("{what} is missing"));
    Ok(Target {
        kind: kind.ok_or("--kind is missing")?,
        address: need("--address", address)?,
        user: need("--user", user)?,
        password: need("--password", password)?,
        tls_only,
        noops,
        records,
        only,
    })
}
