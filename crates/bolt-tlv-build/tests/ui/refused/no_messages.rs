//! `tests/refused/no_messages` as the compiler shows it.

compile_error! { "\ncontracts.yaml:1:1: the file has no `messages`\n   1 | enums: []\n     | ^ expected `messages:` and its list" }

fn main() {}
