//! `tests/refused/alias` as the compiler shows it.

compile_error! { "\ncontracts.yaml:5:5: aliases (`*name`) are not taken\n   5 |   - *ping\n     |     ^ write the value out: a schema says what it means where it means it" }

fn main() {}
