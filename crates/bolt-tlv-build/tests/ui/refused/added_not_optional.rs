//! `tests/refused/added_not_optional` as the compiler shows it.

compile_error! { "\ncontracts.yaml:5:16: `b` came with version 2 and is not optional\n   5 |       - {name: b, type: u8, since: 2}\n     |                ^ expected `optional: true`: older senders do not send it" }

fn main() {}
