//! `bolt`: run queries over the Bolt protocol, serve an embedded graph, look into bbolt files, or see a demonstration.
//!
//! Owns the words of the command line, the formats of the output and the exit codes; everything else is the libraries'. What may be said
//! on the command line stands in `args.rs`, how the command ends in `exit.rs`.

#![forbid(unsafe_code)]

mod args;
#[cfg(feature = "embedded")]
mod backend;
#[cfg(feature = "embedded")]
mod convert;
mod csv;
#[cfg(feature = "embedded")]
mod cypher;
mod decode;
mod demo;
#[cfg(feature = "embedded")]
mod engine;
mod exit;
mod interrupt;
mod json;
mod pages;
mod pages_args;
mod pages_text;
mod params;
mod password;
mod progress;
mod run;
mod scalar;
mod serve;
mod sink;
mod table;
mod text;
mod usage;

use std::io::{self, Write};
use std::process::ExitCode;

use crate::args::Command;
use crate::exit::Stop;

/// Counts for `--stats` and the demonstration; costs one or two nanoseconds an allocation, and records allocate nothing.
#[global_allocator]
static ALLOCATOR: bolt_alloc::CountingAlloc = bolt_alloc::CountingAlloc::new();

fn main() -> ExitCode {
    let outcome = match args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help(text)) => print(text),
        Ok(Command::Version) => print(concat!("bolt ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Run(run)) => run::run(&run),
        Ok(Command::Serve(serve)) => serve::serve(&serve),
        Ok(Command::Demo(demo)) => demo::demo(&demo),
        Ok(Command::Pages(asked)) => pages::run(&asked),
        Err(e) => Err(Stop::Usage(e)),
    };
    outcome.map_or_else(Stop::report, |()| ExitCode::SUCCESS)
}

fn print(text: &str) -> Result<(), Stop> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Stop::failed(format!("the output cannot be written: {e}")))
        }
        _ => Ok(()),
    }
}
