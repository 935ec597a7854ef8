//! `tests/refused/empty` as the compiler shows it.

compile_error! { "\ncontracts.yaml:1:1: the file is empty\n   1 | \n     | ^ expected `messages:` and its list" }

fn main() {}
