//! `tests/refused/recursive` as the compiler shows it.

compile_error! { "\ncontracts.yaml:4:11: `Tree` contains itself: Tree → Branch → Tree\n   4 |   - name: Tree\n     |           ^ expected an end: a recursive message has no maximum size" }

fn main() {}
