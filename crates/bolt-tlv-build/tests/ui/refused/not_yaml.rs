//! `tests/refused/not_yaml` as the compiler shows it.

compile_error! { "\ncontracts.yaml:3:4: this is not YAML: while parsing a block collection, did not find expected '-' …\n   3 |    fields: [\n     |    ^ expected `messages:` and its list" }

fn main() {}
