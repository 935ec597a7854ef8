//! A server of generated streams, for tests and benchmarks of clients.
//!
//! `generated [ADDRESS] [USER PASSWORD]` listens on ADDRESS (127.0.0.1:0, a free port) and prints where on standard
//! output. Without a user anybody may log in. It runs until it is killed.

use std::io::Write;

use bolt_server::generated::GeneratedBackend;
use bolt_server::{Credentials, Server, ServerConfig};

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let credentials = match (arguments.next(), arguments.next()) {
        (Some(user), Some(password)) => Credentials::user(user, password),
        _ => Credentials::Anyone,
    };
    let server = Server::bind(address, ServerConfig::default(), GeneratedBackend::new(credentials))?;
    println!("{}", server.local_addr());
    std::io::stdout().flush()?;
    server.serve();
    Ok(())
}
