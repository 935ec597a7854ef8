//! The built command, run as a user runs it: words in, bytes and exit codes out, against its own server on loopback.
//!
//! Every process started here is stopped by the guard that started it, and every wait has an end.

mod cost;
mod formats;
#[cfg(feature = "embedded")]
mod graph;
mod pages;
mod ports;
#[cfg(unix)]
mod signals;
mod support;
mod usage;
