//! One binary for all integration tests. Owns the list of modules; each says what it proves.

mod check;
mod codec;
mod fixtures;
mod repair;
