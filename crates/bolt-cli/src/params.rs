//! `--param name=json`: JSON text into protocol values.
//!
//! A reader of its own, because an integer must stay exact over the whole 64-bit range and be refused outside it, where the common
//! readers quietly turn it into a float. Order of keys is kept, a repeated key is refused, depth ends at [`DEPTH_MAX`].

use std::fmt;

use bolt_wire::Value;

/// Nesting a parameter may have: real servers return lists 1,000 deep, nobody types more than this.
const DEPTH_MAX: u32 = 128;

/// A parameter that cannot be used: where in its text, and what was expected there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ParamError {
    at: usize,
    expected: String,
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.at, self.expected)
    }
}

/// Reads `name=json`.
pub(crate) fn param(word: &str) -> Result<(String, Value), String> {
    let Some((name, json)) = word.split_once('=') else {
        return Err(format!("--param {word:?}: expected NAME=JSON, such as id=42 or 'name=\"Ann\"'"));
    };
    let name = name.strip_prefix('$').unwrap_or(name);
    if name.is_empty() {
        return Err(format!("--param {word:?}: the name before `=` is empty"));
    }
    match value(json) {
        Ok(value) => Ok((name.into(), value)),
        Err(e) => {
            let bare = json.chars().all(|c| c.is_alphanumeric() || " _-.".contains(c)) && !json.is_empty();
            let more =
                if bare { format!("; a string needs quotes: '{name}=\"{json}\"'") } else { String::new() };
            Err(format!("--param {name}: not JSON {e}{more}"))
        }
    }
}

/// Reads one JSON text.
pub(crate) fn value(json: &str) -> Result<Value, ParamError> {
    let mut reader = Reader { text: json, at: 0 };
    let value = reader.value(DEPTH_MAX)?;
    reader.space();
    if reader.at < json.len() { Err(reader.expected("nothing after the value")) } else { Ok(value) }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expected(&self, what: &str) -> ParamError {
        let found = match self.text[self.at..].chars().next() {
            Some(c) => format!("{c:?}"),
            None => "the end".into(),
        };
        ParamError { at: self.at, expected: format!("expected {what}, found {found}") }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    fn value(&mut self, depth_left: u32) -> Result<Value, ParamError> {
        self.space();
        match self.peek() {
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'[' | b'{') if depth_left == 0 => {
                Err(self.expected(&format!("no more than {DEPTH_MAX} lists and objects inside each other")))
            }
            Some(b'[') => self.list(depth_left - 1),
            Some(b'{') => self.object(depth_left - 1),
            _ => Err(self.expected("a JSON value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, ParamError> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(value);
        }
        Err(self.expected("a JSON value"))
    }

    fn list(&mut self, depth_left: u32) -> Result<Value, ParamError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth_left)?);
            self.space();
            if self.eat(b']') {
                return Ok(Value::List(items));
            }
            if !self.eat(b',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth_left: u32) -> Result<Value, ParamError> {
        self.at += 1;
        let mut entries: Vec<(String, Value)> = Vec::new();
        self.space();
        if self.eat(b'}') {
            return Ok(Value::Map(entries.into_iter().collect()));
        }
        loop {
            self.space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key in double quotes"));
            }
            let key = self.string()?;
            if entries.iter().any(|(k, _)| *k == key) {
                return Err(ParamError { at: start, expected: format!("the key {key:?} is given twice") });
            }
            self.space();
            if !self.eat(b':') {
                return Err(self.expected("`:`"));
            }
            entries.push((key, self.value(depth_left)?));
            self.space();
            if self.eat(b'}') {
                return Ok(Value::Map(entries.into_iter().collect()));
            }
            if !self.eat(b',') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    fn digits(&mut self) -> Result<(), ParamError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<Value, ParamError> {
        let start = self.at;
        self.eat(b'-');
        if self.eat(b'0') {
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.expected("no digit after a leading 0"));
            }
        } else {
            self.digits()?;
        }
        let mut float = false;
        if self.eat(b'.') {
            float = true;
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            float = true;
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if float {
            return match text.parse::<f64>() {
                Ok(v) if v.is_finite() => Ok(Value::Float(v)),
                _ => {
                    Err(ParamError { at: start, expected: format!("{text} is beyond the range of a float") })
                }
            };
        }
        text.parse::<i64>().map(Value::Int).map_err(|_| ParamError {
            at: start,
            expected: format!(
                "{text} is outside the integers of Bolt ({} to {}); write {text}.0 for a float",
                i64::MIN,
                i64::MAX
            ),
        })
    }

    fn string(&mut self) -> Result<String, ParamError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ').unwrap_or(rest.len());
            text.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                Some(_) => return Err(self.expected("control characters written as \\n, \\t or \\u0000")),
                None => return Err(self.expected("a closing double quote")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, ParamError> {
        let Some(byte) = self.peek() else { return Err(self.expected("an escape")) };
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.expected("one of \" \\ / b f n r t u after the backslash")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode(&mut self) -> Result<char, ParamError> {
        let start = self.at;
        let lone = |at| ParamError { at, expected: "half of a surrogate pair is no character".into() };
        let first = self.hex4()?;
        let code = match first {
            0xD800..=0xDBFF => {
                if !(self.eat(b'\\') && self.eat(b'u')) {
                    return Err(lone(start));
                }
                let second = self.hex4()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(lone(start));
                }
                0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            _ => first,
        };
        char::from_u32(code).ok_or_else(|| lone(start))
    }

    fn hex4(&mut self) -> Result<u32, ParamError> {
        let word =
            self.text.as_bytes().get(self.at..self.at + 4).filter(|w| w.iter().all(u8::is_ascii_hexdigit));
        let Some(word) = word else { return Err(self.expected("four hexadecimal digits")) };
        let code = word.iter().fold(0, |code, b| code << 4 | (*b as char).to_digit(16).unwrap_or(0));
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, Value)]) -> Value {
        Value::Map(entries.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
    }

    #[test]
    fn every_kind_of_value() {
        for (json, expected) in [
            ("null", Value::Null),
            (" true ", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("0", Value::Int(0)),
            ("-0", Value::Int(0)),
            ("9007199254740993", Value::Int(9_007_199_254_740_993)),
            ("9223372036854775807", Value::Int(i64::MAX)),
            ("-9223372036854775808", Value::Int(i64::MIN)),
            ("1.0", Value::Float(1.0)),
            ("-1.5e-3", Value::Float(-0.0015)),
            ("1E2", Value::Float(100.0)),
            ("\"\"", Value::String(String::new())),
            ("\"gr\\u00f6\\u00dfe \\ud83d\\ude00\\n\\/\"", Value::String("größe 😀\n/".into())),
            ("[]", Value::List(vec![])),
            (
                "[1, [2.0], \"x\"]",
                Value::List(vec![
                    Value::Int(1),
                    Value::List(vec![Value::Float(2.0)]),
                    Value::String("x".into()),
                ]),
            ),
            ("{}", map(&[])),
            (
                "{\"b\": 1, \"a\": {\"c\": null}}",
                map(&[("b", Value::Int(1)), ("a", map(&[("c", Value::Null)]))]),
            ),
        ] {
            assert_eq!(value(json).expect(json), expected, "{json}");
        }
    }

    #[test]
    fn what_is_refused_says_where() {
        for (json, at, part) in [
            ("", 0, "a JSON value, found the end"),
            ("9223372036854775808", 0, "outside the integers of Bolt"),
            ("-9223372036854775809", 0, "outside the integers of Bolt"),
            ("1e999", 0, "beyond the range of a float"),
            ("01", 1, "leading 0"),
            ("1.", 2, "a digit"),
            ("+1", 0, "a JSON value"),
            ("nul", 0, "a JSON value"),
            ("NaN", 0, "a JSON value"),
            ("[1,]", 3, "a JSON value"),
            ("[1 2]", 3, "`,` or `]`"),
            ("{a: 1}", 1, "a key in double quotes"),
            ("{\"a\" 1}", 5, "`:`"),
            ("{\"a\":1,\"a\":2}", 7, "given twice"),
            ("\"abc", 4, "a closing double quote"),
            ("\"\\x\"", 2, "after the backslash"),
            ("\"\\ud800\"", 3, "surrogate"),
            ("\"\\udc00\"", 3, "surrogate"),
            ("\"\\u12\"", 3, "four hexadecimal digits"),
            ("\"a\tb\"", 2, "control characters"),
            ("1 1", 2, "nothing after the value"),
        ] {
            let e = value(json).expect_err(json);
            assert_eq!(e.at, at, "{json}: {e}");
            assert!(e.to_string().contains(part), "{json}: {e}");
        }
    }

    #[test]
    fn depth_ends_and_costs_no_stack() {
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(value(&deep(DEPTH_MAX as usize)).is_ok());
        assert!(value(&deep(DEPTH_MAX as usize + 1)).is_err());
        assert!(value(&deep(1_000_000)).is_err());
        assert!(value(&"{\"a\":".repeat(1_000_000)).is_err());
    }

    #[test]
    fn names_and_hints() {
        assert_eq!(param("$id=1"), Ok(("id".into(), Value::Int(1))));
        assert_eq!(param("a=\"x=y\""), Ok(("a".into(), Value::String("x=y".into()))));
        assert!(param("id").expect_err("no value").contains("NAME=JSON"));
        assert!(param("=1").expect_err("no name").contains("empty"));
        assert!(param("name=Ann").expect_err("bare").contains("'name=\"Ann\"'"));
    }
}
