//! The `bolt` command.

fn main() {}
