//! `tests/refused/versions` as the compiler shows it.

compile_error! { "\ncontracts.yaml:7:16: `c` stands behind `b`, which came with version 3\n   7 |       - {name: c, type: u8}\n     |                ^ expected new fields at the end: what is on the wire keeps its place\ncontracts.yaml:3:14: `Grown` is version 2 but has a field since version 3\n   3 |     version: 2\n     |              ^ expected at least `version: 3`, or none: it follows from the fields\ncontracts.yaml:8:11: `Ice` is frozen and has a second version\n   8 |   - name: Ice\n     |           ^ expected one of them: what is frozen never changes\ncontracts.yaml:13:11: `Nothing` is frozen and has no fields\n  13 |   - name: Nothing\n     |           ^ expected at least one: nothing can ever be added" }

fn main() {}
