//! `tests/refused/duplicate_ids` as the compiler shows it.

compile_error! { "\ncontracts.yaml:3:22: `Pong` and `Ping` of line 2 both have id 5\n   3 |   - {name: Pong, id: 5, fields: []}\n     |                      ^ expected each id once; 1 is free\ncontracts.yaml:5:23: `Other` and `SwapEvent` of line 4 both come to id 602\n   5 |   - {name: Other, id: 602, fields: []}\n     |                       ^ expected an id written out for the newer one: `id: 1` is free" }

fn main() {}
