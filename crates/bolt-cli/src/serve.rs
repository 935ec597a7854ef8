//! `bolt serve`: the embedded graph or the generated streams on a listener, until SIGTERM, SIGINT or the end of standard input.
//!
//! Owns the policy of who may connect; `bolt-server` owns the connections. Never listens beyond loopback without a password unless told
//! so twice. Says one line on standard output when it is ready; everything else goes to standard error.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bolt_server::generated::GeneratedBackend;
use bolt_server::{Backend, Credentials, Server, ServerConfig};

use crate::args;
use crate::exit::Stop;
use crate::password;

/// How long a stop waits for statements that cannot be interrupted. What they did is undone: nothing half-done reaches the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves until it is stopped.
///
/// # Errors
/// The password, the graph's file or the address cannot be used.
pub(crate) fn serve(serve: &args::Serve) -> Result<(), Stop> {
    let credentials = credentials(serve)?;
    if serve.generated {
        return listen(serve, GeneratedBackend::new(credentials), "generated streams", || {});
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
    let remains = store.temporary();
    let backend = crate::backend::GraphBackend::new(store, credentials);
    listen(serve, backend, &what, move || {
        if let Some(directory) = &remains {
            let _ = std::fs::remove_dir_all(directory);
        }
    })
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

/// `abandon` puts away what a server that would not stop leaves behind.
fn listen(
    serve: &args::Serve,
    backend: impl Backend,
    what: &str,
    abandon: impl Fn() + Send + 'static,
) -> Result<(), Stop> {
    let server = Server::bind(serve.listen, ServerConfig::default(), backend)
        .map_err(|e| Stop::failed(format!("{e}{}", advice(serve.listen, &e))))?;
    let handle = server.handle();
    let abandon = Arc::new(Mutex::new(Some(abandon)));
    let leave = move || {
        // Whoever comes second finds nothing left to do but to go as well.
        if let Some(abandon) = abandon.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = writeln!(io::stderr(), "a statement would not stop; leaving it undone");
            abandon();
        }
        process::exit(0);
    };
    let mut signals = 0;
    let stop = move || {
        signals += 1;
        if signals > 1 {
            leave();
        }
        handle.shutdown();
        let leave = leave.clone();
        thread::spawn(move || {
            thread::sleep(PATIENCE);
            leave();
        });
    };
    let stop = Arc::new(Mutex::new(stop));
    let signalled = Arc::clone(&stop);
    ctrlc::set_handler(move || (signalled.lock().unwrap_or_else(PoisonError::into_inner))())
        .map_err(|e| Stop::failed(format!("no signal handler: {e}")))?;
    if serve.until_eof {
        thread::spawn(move || {
            let mut byte = [0];
            while matches!(io::stdin().read(&mut byte), Ok(1)) {}
            (stop.lock().unwrap_or_else(PoisonError::into_inner))();
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
