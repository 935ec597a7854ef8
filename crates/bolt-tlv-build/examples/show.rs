//! Prints the code that a schema becomes: `cargo run -p bolt-tlv-build --example show -- contracts.yaml [config.toml]`.
//!
//! Owns nothing but its arguments. Never writes a file.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(contracts) = arguments.next() else {
        eprintln!("usage: show contracts.yaml [config.toml]");
        return ExitCode::from(2);
    };
    let mut config = bolt_tlv_build::Config::new(contracts);
    if let Some(services) = arguments.next() {
        config = config.services(services);
    }
    match config.generate_code() {
        Ok(code) => {
            print!("{code}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
