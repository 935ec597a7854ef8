//! Owns: YAML text as a small tree in which every node knows its line and column.
//! Takes what schemas need (mappings, sequences, scalars, comments) and refuses the rest by name: aliases, tags, several documents,
//! duplicate keys. Limits: `TEXT_BYTES_MAX` bytes, `DEPTH_MAX` levels. Nothing here recurses, so no input can exhaust the stack.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::diagnostics::{Place, Problems};

/// A schema longer than this is generated, and should be generated in parts.
pub(crate) const TEXT_BYTES_MAX: usize = 1 << 20;

/// A schema is five levels deep; whatever is deeper is no schema.
pub(crate) const DEPTH_MAX: usize = 16;

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Text as written; `quoted` text is never a number, a boolean or null.
    Scalar {
        text: String,
        quoted: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

impl Node {
    /// What it is, for a message that expected something else.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Scalar { text, quoted: false } if text.is_empty() => "nothing".to_owned(),
            Value::Scalar { text, quoted: true } => format!("the text `{:?}`", shortened(text)),
            Value::Scalar { text, .. } => format!("`{}`", shortened(text)),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
        }
    }

    /// The text of a scalar that is not null.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, quoted } if *quoted || !matches!(text.as_str(), "" | "~" | "null") => {
                Some(text)
            }
            _ => None,
        }
    }

    /// A whole number, decimal or with `0x`, with `_` between digits as Rust has it.
    pub(crate) fn number(&self) -> Option<u64> {
        match &self.value {
            Value::Scalar { text, quoted: false } => parse_number(text),
            _ => None,
        }
    }

    pub(crate) fn boolean(&self) -> Option<bool> {
        match &self.value {
            Value::Scalar { text, quoted: false } => match text.as_str() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, quoted: false } if matches!(text.as_str(), "" | "~" | "null"))
    }
}

/// A whole number as schemas write them: `64`, `1_000`, `0x1F`.
pub(crate) fn parse_number(text: &str) -> Option<u64> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    if digits.len() > 40 || !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let digits: String = digits.chars().filter(|&c| c != '_').collect();
    // `from_str_radix` alone would take a sign.
    digits.chars().all(|c| c.is_digit(radix)).then(|| u64::from_str_radix(&digits, radix).ok()).flatten()
}

/// Text from a file as it may stand in a message: one line, not too long.
pub(crate) fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(CHARS_MAX).map(clean).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

/// A collection that is still open.
enum Open {
    Sequence { place: Place, items: Vec<Node> },
    Mapping { place: Place, entries: Vec<(Key, Node)>, key: Option<Key> },
}

fn place_of(marker: Marker) -> Place {
    Place { line: marker.line().max(1), column: marker.col() + 1 }
}

/// The tab that a mistake stands right behind.
fn tab_before(text: &str, place: Place) -> Option<Place> {
    let column = place.column.checked_sub(1).filter(|&column| column > 0)?;
    let before = text.lines().nth(place.line - 1)?.chars().nth(column - 1);
    (before == Some('\t')).then_some(Place { line: place.line, column })
}

/// The tab in the indentation that a mistake is about. The parser names where the word before it began, which may be lines above.
fn tab_after(text: &str, place: Place, info: &str) -> Option<Place> {
    if !info.contains("tab") {
        return None;
    }
    (1..).zip(text.lines()).skip(place.line - 1).find_map(|(line, text)| {
        let column = 1 + text.chars().take_while(|&c| c == ' ').count();
        (text.chars().nth(column - 1) == Some('\t')).then_some(Place { line, column })
    })
}

/// Parses one document. What is wrong goes into `problems`; an empty document is `None` without a problem.
pub(crate) fn parse(text: &str, problems: &mut Problems<'_>) -> Option<Node> {
    if text.len() > TEXT_BYTES_MAX {
        let what = format!("the file has {} bytes", text.len());
        problems.add(
            Place { line: 1, column: 1 },
            what,
            format!("expected at most {TEXT_BYTES_MAX}: split the schema"),
        );
        return None;
    }
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let what = format!("this is not YAML: {}", shortened(error.info()));
                let place = place_of(*error.marker());
                match tab_before(text, place).or_else(|| tab_after(text, place, error.info())) {
                    Some(tab) => problems.add(tab, what, "expected spaces: YAML does not indent with tabs"),
                    None => problems.add(place, what, "expected `messages:` and its list"),
                }
                return None;
            }
        };
        let place = place_of(span.start);
        let node = match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    problems.add(place, "a second document begins here", "expected one document a file");
                    return None;
                }
                continue;
            }
            Event::Alias(_) => {
                problems.add(
                    place,
                    "aliases (`*name`) are not taken",
                    "write the value out: a schema says what it means where it means it",
                );
                return None;
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                problems.add(place, "tags (`!name`) are not taken", "expected a plain value");
                return None;
            }
            Event::Scalar(text, style, _, None) => {
                let quoted = style != ScalarStyle::Plain;
                Node { place, value: Value::Scalar { text: text.into_owned(), quoted } }
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() == DEPTH_MAX => {
                problems.add(place, "nested too deeply", format!("expected at most {DEPTH_MAX} levels"));
                return None;
            }
            Event::SequenceStart(..) => {
                open.push(Open::Sequence { place, items: Vec::new() });
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Mapping { place, entries: Vec::new(), key: None });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop()? {
                Open::Sequence { place, items } => Node { place, value: Value::Sequence(items) },
                Open::Mapping { place, entries, .. } => Node { place, value: Value::Mapping(entries) },
            },
        };
        match open.last_mut() {
            None => root = Some(node),
            Some(Open::Sequence { items, .. }) => items.push(node),
            Some(Open::Mapping { entries, key, .. }) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => match node.value {
                    Value::Scalar { text, .. } => *key = Some(Key { place: node.place, text }),
                    _ => {
                        problems.add(node.place, "a key must be a word", "expected `key: value`");
                        return None;
                    }
                },
            },
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        let mut problems = Problems::new("x.yaml", text);
        let node = parse(text, &mut problems);
        assert!(node.is_none() && !problems.is_empty(), "{text:?} must be refused");
        problems.finish().to_string()
    }

    #[test]
    fn nodes_know_their_places() {
        let text = "# schema\nmessages:\n  - name: Ping\n    fields: [a, 'b']\n";
        let mut problems = Problems::new("x.yaml", text);
        let root = parse(text, &mut problems).expect("is YAML");
        let Value::Mapping(entries) = &root.value else { panic!("a mapping") };
        assert_eq!(
            (entries[0].0.text.as_str(), entries[0].0.place),
            ("messages", Place { line: 2, column: 1 })
        );
        let Value::Sequence(items) = &entries[0].1.value else { panic!("a sequence") };
        let Value::Mapping(message) = &items[0].value else { panic!("a mapping") };
        assert_eq!(message[0].1.place, Place { line: 3, column: 11 });
        let Value::Sequence(fields) = &message[1].1.value else { panic!("a sequence") };
        assert_eq!(fields[1].place, Place { line: 4, column: 17 });
        assert!(matches!(fields[1].value, Value::Scalar { quoted: true, .. }));
    }

    #[test]
    fn what_schemas_do_not_need_is_refused_by_name() {
        assert!(problem("a: &x 1\nb: *x\n").contains("aliases"));
        assert!(problem("a: !t 1\n").contains("tags"));
        assert!(problem("a: 1\n---\nb: 2\n").contains("second document"));
        assert!(problem("[a]: 1\n").contains("a key must be a word"));
        assert!(problem(&"[".repeat(100)).contains("nested too deeply"));
        assert!(problem(&"[".repeat(100_000)).contains("not YAML"), "the parser has a limit of its own");
        assert!(problem("a: [1\nb: 2").contains("not YAML"));
        assert!(problem(&" ".repeat(TEXT_BYTES_MAX + 1)).contains("split the schema"));
    }

    #[test]
    fn a_tab_is_named_where_it_stands() {
        for (text, place) in [
            ("messages:\n  - name: A\n\tfields: []\n", "3:1"),
            ("messages:\n  - name: A\n    fields: []\n\n# b\n  - name: B\n\n  \tid: 3\n", "8:3"),
            ("messages:\n\t- name: A\n", "2:1"),
            ("messages:\n  - name: A\n    \t- {name: a}\n", "3:5"),
            ("messages:\r\n  - name: A\r\n\tfields: []\r\n", "3:1"),
            ("messages:\n  - name:\tA\n", "2:10"),
        ] {
            let said = problem(text);
            assert!(said.starts_with(&format!("x.yaml:{place}: this is not YAML")), "{text:?}: {said}");
            assert!(said.ends_with("^ expected spaces: YAML does not indent with tabs"), "{text:?}: {said}");
        }
    }

    #[test]
    fn numbers_are_read_as_schemas_write_them() {
        assert_eq!(parse_number("1_000"), Some(1_000));
        assert_eq!(parse_number("0xFF"), Some(255));
        for bad in ["", "-1", "+1", "_1", "1e3", "0x", "18446744073709551616", "1.0"] {
            assert_eq!(parse_number(bad), None, "{bad}");
        }
    }
}
