//! `tests/refused/a_list` as the compiler shows it.

compile_error! { "\ncontracts.yaml:1:1: expected the file, found a list\n   1 | - messages\n     | ^ expected `messages: …`" }

fn main() {}
