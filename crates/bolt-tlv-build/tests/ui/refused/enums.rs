//! `tests/refused/enums` as the compiler shows it.

compile_error! { "\ncontracts.yaml:3:5: the enum `Empty` has no values\n   3 |     values: []\n     |     ^ expected at least one name\ncontracts.yaml:6:14: 256 does not fit into `repr: u8`\n   6 |     values: {a: 256}\n     |              ^ expected a smaller number or a wider `repr`\ncontracts.yaml:8:11: `i8` cannot be the numbers of an enum\n   8 |     repr: i8\n     |           ^ expected `repr: u8`, `u16` or `u32`\ncontracts.yaml:11:17: expected a number, found `one`\n  11 |     values: {a: one}\n     |                 ^ the form is `a: 0`\ncontracts.yaml:12:5: the enum `None_at_all` has no values\n  12 |   - name: None_at_all\n     |     ^ expected `values:` and a list of names" }

fn main() {}
