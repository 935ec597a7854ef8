//! `tests/refused/unknown_type` as the compiler shows it.

compile_error! { "\ncontracts.yaml:5:15: unknown type `Adress`\n   5 |         type: Adress\n     |               ^ did you mean `Address`?\ncontracts.yaml:7:15: unknown type `uint265`\n   7 |         type: uint265\n     |               ^ did you mean `uint256`?\ncontracts.yaml:9:15: unknown type `Percentage`\n   9 |         type: Percentage\n     |               ^ expected u8 … u256, i8 … i256, bool, f32, f64, Address, Hash, bytes[N], bytes(N), string(N), array<T, N>, vector<T, N>, optional<T>, or a message or enum of this file" }

fn main() {}
