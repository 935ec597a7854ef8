//! `bolt serve`: the embedded graph or the generated streams on a listener, until SIGTERM, SIGINT or the end of standard input.
//!
//! Owns the policy of who may connect; `bolt-server` owns the connections. Never listens beyond loopback without a password unless told
//! so twice. Says one line on standard output when it is ready; everything else goes to standard error.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use bolt_server::generated::GeneratedBackend;
use bolt_server::{Backend, Credentials, Server, ServerConfig};

use crate::args;
use crate::exit::Stop;
use crate::password;

/// Serves until it is stopped.
///
/// # Errors
/// The password, the graph's file or the address cannot be used.
pub(crate) fn serve(serve: &args::Serve) -> Result<(), Stop> {
    let credentials = credentials(serve)?;
    if serve.generated {
        return listen(serve, GeneratedBackend::new(credentials), "generated streams");
    }
    embedded(serve, credentials)
}

#[cfg(feature = "embedded")]
fn embedded(serve: &args::Serve, credentials: Credentials) -> Result<(), Stop> {
    let store = crate::engine::Store::open(serve.data.as_deref()).map_err(Stop::failed)?;
    let what = match &serve.data {
        Some(path) => format!("the graph in {}", path.display()),
        None => "a graph that ends with this server".into(),
    };
    let backend = crate::backend::GraphBackend::new(store, credentials);
    listen(serve, backend, &what)
}

#[cfg(not(feature = "embedded"))]
fn embedded(_: &args::Serve, _: Credentials) -> Result<(), Stop> {
    Err(args::UsageError::serve(
        "this bolt was built without the embedded graph (feature `embedded`): only `bolt serve --generated` is there",
    )
    .into())
}

fn credentials(serve: &args::Serve) -> Result<Credentials, Stop> {
    if serve.no_auth {
        return Ok(Credentials::Anyone);
    }
    let password = match password::given(serve.password_file.as_deref()).map_err(Stop::failed)? {
        Some(password) if password.is_empty() => {
            return Err(args::UsageError::serve("the password is empty: give one, or say --no-auth").into());
        }
        Some(password) => password,
        None => {
            let password = password::made_up();
            let _ = writeln!(io::stderr(), "password of {} for this run: {password}", serve.user);
            password
        }
    };
    Ok(Credentials::user(&serve.user, password))
}

fn listen(serve: &args::Serve, backend: impl Backend, what: &str) -> Result<(), Stop> {
    let server = Server::bind(serve.listen, ServerConfig::default(), backend)
        .map_err(|e| Stop::failed(format!("{e}{}", advice(serve.listen, &e))))?;
    let handle = server.handle();
    let stop = handle.clone();
    ctrlc::set_handler(move || stop.shutdown())
        .map_err(|e| Stop::failed(format!("no signal handler: {e}")))?;
    if serve.until_eof {
        let stop = handle;
        std::thread::spawn(move || {
            let mut byte = [0];
            while matches!(io::stdin().read(&mut byte), Ok(1)) {}
            stop.shutdown();
        });
    }
    let mut out = io::stdout();
    // A reader that is gone does not stop the server.
    let _ = writeln!(out, "listening on bolt://{} with {what}", server.local_addr());
    let _ = out.flush();
    server.serve();
    Ok(())
}

fn advice(address: SocketAddr, error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    if text.contains("in use") {
        return format!(
            "\nhint: something listens on {address} already; choose another port, or port 0 for any free one"
        );
    }
    if text.contains("ermission") {
        return "\nhint: ports below 1024 belong to the administrator; choose one above".into();
    }
    String::new()
}
