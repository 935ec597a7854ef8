//! `cargo xtask`: every check of the workspace, one command each.

fn main() {
    println!("usage: cargo xtask <command>");
}
