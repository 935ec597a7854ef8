//! The server as a client meets it: real sockets, raw bytes, hostile bytes, every version.

mod client;
mod custom;
mod hostile;
mod limits;
mod states;
mod streams;
mod transcript;
mod versions;
