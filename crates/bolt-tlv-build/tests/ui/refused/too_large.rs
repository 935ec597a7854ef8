//! `tests/refused/too_large` as the compiler shows it.

compile_error! { "\ncontracts.yaml:11:16: with `b` the message can have 32000008 bytes\n  11 |       - {name: b, type: bytes(16000000)}\n     |                ^ expected at most 16777216 bytes a message: lower a maximum\ncontracts.yaml:14:16: `a` can have 18446744073709551615 bytes\n  14 |       - {name: a, type: \"array<array<array<u256, 4294967295>, 4294967295>, 4294967295>\"}\n     |                ^ expected at most 16777216 bytes a message: lower a maximum\ncontracts.yaml:7:16: `many` can have 1000008002 bytes\n   7 |       - {name: many, type: \"vector<Inner, 1000>\"}\n     |                ^ expected at most 16777216 bytes a message: lower a maximum" }

fn main() {}
