//! `tests/refused/service_scalar` as the compiler shows it.

compile_error! { "\nconfig.toml:1:11: `service` is `5`\n   1 | service = 5\n     |           ^ expected `[service.NAME]`" }

fn main() {}
