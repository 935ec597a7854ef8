//! `tests/refused/itself` as the compiler shows it.

compile_error! { "\ncontracts.yaml:2:11: `Chain` contains itself: Chain → Chain\n   2 |   - name: Chain\n     |           ^ expected an end: a recursive message has no maximum size" }

fn main() {}
