//! `tests/refused/service_unknown_message` as the compiler shows it.

compile_error! { "\nconfig.toml:7:5: unknown message `Pingg`\n   7 |     \"Pingg\",\n     |     ^ did you mean `Ping`?\nconfig.toml:8:5: unknown message `SwapEvent`\n   8 |     \"SwapEvent\",\n     |     ^ expected one of: Ping\nconfig.toml:9:5: `Ping` is there twice\n   9 |     \"Ping\",\n     |     ^ expected each message once" }

fn main() {}
