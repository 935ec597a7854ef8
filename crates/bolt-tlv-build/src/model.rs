//! For tests and fuzz targets: any bytes as a schema and a configuration.
//!
//! Owns what must hold whatever the bytes are. Never writes a file. Limits: the crate's own.

use crate::schema::Schema;
use crate::{Config, Error, samples};

/// Between the schema and the configuration in the bytes of a fuzzer.
pub const SEPARATOR: u8 = 0;

/// Generated code is at most so many times longer than what it was generated from, plus [`LENGTH_MIN`].
const LENGTH_RATIO: usize = 2_000;

/// What even the smallest schema comes to.
const LENGTH_MIN: usize = 20_000;

/// An error is at most so long, however long the file.
const ERROR_LENGTH_MAX: usize = 20_000;

/// Generates code from any bytes: a schema, and behind the first [`SEPARATOR`] a configuration. Returns whether they were good.
///
/// # Panics
/// When something does not hold: the same input gives the same answer, code and errors are bounded, and every error has a place.
pub fn schema(bytes: &[u8]) -> bool {
    let (contracts, services) = match bytes.iter().position(|&byte| byte == SEPARATOR) {
        Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
        None => (bytes, None),
    };
    let mut config = Config::from_text(String::from_utf8_lossy(contracts));
    if let Some(services) = services {
        config = config.services_text(String::from_utf8_lossy(services));
    }
    let answer = config.generate_code();
    assert_eq!(answer, config.generate_code(), "the same files give the same answer");
    match answer {
        Ok(code) => {
            let most = LENGTH_MIN + bytes.len() * LENGTH_RATIO;
            assert!(code.len() <= most, "{} bytes of code from {} bytes", code.len(), bytes.len());
            // Braces of code stand outside of strings and comments here, for no name has one.
            let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            let depth = lines.flat_map(str::chars).fold(0_i64, |depth, c| match c {
                '{' => depth + 1,
                '}' => depth - 1,
                _ => depth,
            });
            assert_eq!(depth, 0, "every brace is closed");
            true
        }
        Err(error) => {
            assert!(error.problem_count() > 0);
            let text = error.to_string();
            assert!(text.len() <= ERROR_LENGTH_MAX, "{} bytes of error", text.len());
            assert!(text.starts_with("contracts.yaml:") || text.starts_with("config.toml:"), "{text}");
            false
        }
    }
}

/// Code that makes random messages of the schema of `config`, for tests of generated code; `path` is the module that has that code.
///
/// # Errors
/// As [`Config::generate`].
pub fn samples(config: &Config, path: &str) -> Result<String, Error> {
    let schema = Schema::parse(&config.schema.name(), &config.schema.read()?, config.size_max)?;
    Ok(samples::file(&schema, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMAS: &[(&str, &str)] = &[
        (include_str!("../tests/schemas/everything.yaml"), include_str!("../tests/schemas/everything.toml")),
        (include_str!("../tests/schemas/source.yaml"), include_str!("../tests/schemas/source.toml")),
        (include_str!("../tests/schemas/long.yaml"), ""),
    ];

    /// What a slip of the hand, and a hostile one, puts into a file.
    const PIECES: &[&str] = &[
        "",
        " ",
        "\n",
        "\t",
        ":",
        "- ",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "'",
        "<",
        ">",
        "?",
        "*x",
        "&x",
        "!t",
        "|\n",
        "0",
        "99999999999999999999",
        "u256",
        "Note",
        "vector<",
        "\u{0}",
        "\u{FEFF}",
        "é",
        "%",
        "---\n",
        "# ",
        ",",
        "max: 3",
        "\r\n",
    ];

    #[test]
    fn damaged_files_are_answered_and_nothing_else_happens() {
        let mut state = 5_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let mut good = 0;
        for round in 0..1_500 {
            let (contracts, services) = SCHEMAS[round % SCHEMAS.len()];
            let mut text = format!("{contracts}\0{services}");
            for _ in 0..=random(3) {
                let mut place = |text: &str| {
                    (random(text.len() + 1)..).find(|&at| text.is_char_boundary(at)).unwrap_or(0)
                };
                let (from, to) = (place(&text), place(&text));
                match random(3) {
                    0 => text.insert_str(from, PIECES[random(PIECES.len())]),
                    1 => text.replace_range(from..(from + 6).min(text.len()).max(from), ""),
                    _ if from < to => {
                        let piece = text[from..to.min(from + 200)].to_owned();
                        text.push_str(&piece);
                    }
                    _ => text.truncate(from),
                }
            }
            good += usize::from(schema(text.as_bytes()));
        }
        assert!(good > 10, "{good} of them were still good");
    }

    #[test]
    fn files_that_are_all_one_thing_are_answered() {
        for piece in PIECES {
            schema(piece.repeat(3_000).as_bytes());
            schema(
                format!(
                    "messages:\n  - name: A\n    fields:\n      - {{name: a, type: \"{}\"}}\n",
                    piece.repeat(300)
                )
                .as_bytes(),
            );
        }
        for _ in 0..3 {
            schema(&[0xFF; 100]);
        }
        assert!(!schema(b""));
    }
}
