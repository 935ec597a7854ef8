//! `tests/refused/service_not_toml` as the compiler shows it.

compile_error! { "\nconfig.toml:1:11: this is not TOML: unclosed table, expected `]`\n   1 | [service.a\n     |           ^ expected `[service.NAME]` and `messages = […]`" }

fn main() {}
