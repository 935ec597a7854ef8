//! What can be told from a query's text alone: the columns it returns, its kind, whether it groups.
//!
//! The embedded engine names columns only on records, so an empty result would have none, and it rewrites expressions in the names it
//! gives; Neo4j names a column by the text the user wrote. This is a scanner, not a parser: it knows strings, comments, quoted names and
//! brackets, decides nothing about validity, and answers "unknown" where text is not enough (`RETURN *`).

/// What the text tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Columns of the first RETURN, by alias or by text; `None` when the text does not tell.
    pub(crate) columns: Option<Vec<String>>,
    /// The kind as the protocol's summary names it: `r`, `w`, `rw` or `s`.
    pub(crate) kind: &'static str,
    /// Whether the RETURN calls an aggregating function.
    pub(crate) aggregates: bool,
}

/// A piece of the query that matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token<'q> {
    /// A name or keyword, quoted (`true`) or not.
    Word(&'q str, bool),
    /// A single character outside names, strings, comments and blanks.
    Mark(u8),
    /// A string literal or anything else that is opaque.
    Opaque,
}

/// Tokens with the bytes they cover.
struct Scanner<'q> {
    text: &'q str,
    at: usize,
}

impl<'q> Scanner<'q> {
    fn next(&mut self) -> Option<(Token<'q>, usize, usize)> {
        let bytes = self.text.as_bytes();
        loop {
            let start = self.at;
            let first = *bytes.get(start)?;
            match first {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                b'/' if bytes.get(start + 1) == Some(&b'/') => {
                    self.at = self.text[start..].find('\n').map_or(bytes.len(), |n| start + n);
                }
                b'/' if bytes.get(start + 1) == Some(&b'*') => {
                    self.at = self.text[start + 2..].find("*/").map_or(bytes.len(), |n| start + 2 + n + 2);
                }
                b'\'' | b'"' => {
                    self.skip_string(first);
                    return Some((Token::Opaque, start, self.at));
                }
                b'`' => {
                    // A doubled backtick is one inside the name.
                    self.at += 1;
                    while let Some(n) = self.text[self.at..].find('`') {
                        self.at += n + 1;
                        if bytes.get(self.at) != Some(&b'`') {
                            break;
                        }
                        self.at += 1;
                    }
                    if self.at == start + 1 {
                        self.at = bytes.len();
                    }
                    let name = self.text.get(start + 1..self.at - 1).unwrap_or("");
                    return Some((Token::Word(name, true), start, self.at));
                }
                _ => {
                    let rest = &self.text[start..];
                    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                    if end == 0 {
                        let width = rest.chars().next().map_or(1, char::len_utf8);
                        self.at += width;
                        return Some((
                            if width == 1 { Token::Mark(first) } else { Token::Opaque },
                            start,
                            self.at,
                        ));
                    }
                    self.at += end;
                    return Some((Token::Word(&rest[..end], false), start, self.at));
                }
            }
        }
    }

    fn skip_string(&mut self, quote: u8) {
        let bytes = self.text.as_bytes();
        self.at += 1;
        while let Some(byte) = bytes.get(self.at) {
            self.at += 1;
            if *byte == b'\\' {
                self.at = (self.at + 1).min(bytes.len());
            } else if *byte == quote {
                return;
            }
        }
        // A backslash before a wide character leaves `at` inside it: move to its end.
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }
}

/// Looks at a query.
pub(crate) fn shape(query: &str) -> Shape {
    let mut scanner = Scanner { text: query, at: 0 };
    let (mut depth, mut previous) = (0_i32, Token::Opaque);
    let (mut writes, mut schema, mut returns) = (false, false, false);
    let mut shape = Shape::default();
    let mut call: Option<String> = None;
    let mut yields = false;
    while let Some((token, _, end)) = scanner.next() {
        match token {
            Token::Mark(b'(' | b'[' | b'{') => depth += 1,
            Token::Mark(b')' | b']' | b'}') => depth -= 1,
            Token::Word(word, false) if previous != Token::Mark(b'.') && previous != Token::Mark(b':') => {
                let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
                if is("CREATE") || is("MERGE") || is("DELETE") || is("REMOVE") || is("SET") {
                    writes = true;
                } else if is("INDEX")
                    && matches!(previous, Token::Word(w, false) if w.eq_ignore_ascii_case("CREATE") || w.eq_ignore_ascii_case("DROP"))
                {
                    schema = true;
                } else if is("YIELD") {
                    yields = true;
                } else if is("CALL") && depth == 0 && call.is_none() {
                    call = Some(procedure(&query[end..]));
                } else if is("RETURN") && depth == 0 && !returns {
                    returns = true;
                    let mut rest = Scanner { text: query, at: end };
                    (shape.columns, shape.aggregates) = items(&mut rest);
                }
            }
            _ => {}
        }
        previous = token;
    }
    if !returns
        && !yields
        && let Some(name) = call
    {
        shape.columns = procedure_columns(&name);
    }
    if !returns && shape.columns.is_none() && !yields {
        shape.columns = Some(Vec::new());
    }
    shape.kind = match (schema, writes, returns) {
        (true, ..) => "s",
        (_, true, true) => "rw",
        (_, true, false) => "w",
        _ => "r",
    };
    shape
}

/// The dotted name after CALL.
fn procedure(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.')).collect()
}

/// Columns of the engine's own procedures, when they are called without YIELD.
fn procedure_columns(name: &str) -> Option<Vec<String>> {
    let columns: &[&str] = match name {
        "db.counts" => &["kind", "name", "count"],
        "db.indexes" => &["label", "property", "kind"],
        "fts.search" => &["node", "score"],
        _ => return None,
    };
    Some(columns.iter().map(|c| (*c).to_owned()).collect())
}

/// The items after RETURN, up to the clause that ends them.
fn items(scanner: &mut Scanner<'_>) -> (Option<Vec<String>>, bool) {
    let text = scanner.text;
    let mut names = Vec::new();
    let (mut depth, mut star, mut aggregates) = (0_i32, false, false);
    let mut alias: Option<String> = None;
    let mut expect_alias = false;
    let mut item: Option<(usize, usize)> = None;
    let mut first_word = true;
    let mut previous: Token<'_> = Token::Opaque;
    let finish = |item: &mut Option<(usize, usize)>, alias: &mut Option<String>, names: &mut Vec<String>| {
        if let Some((start, end)) = item.take() {
            names.push(alias.take().unwrap_or_else(|| text[start..end].to_owned()));
        }
    };
    while let Some((token, start, end)) = scanner.next() {
        match token {
            Token::Mark(b'(') if is_aggregate(previous) => {
                aggregates = true;
                depth += 1;
            }
            Token::Mark(b'(' | b'[' | b'{') => depth += 1,
            Token::Mark(b')' | b']' | b'}') => depth -= 1,
            Token::Mark(b';') if depth == 0 => break,
            Token::Mark(b',') if depth == 0 => {
                finish(&mut item, &mut alias, &mut names);
                previous = token;
                continue;
            }
            Token::Mark(b'*') if depth == 0 && item.is_none() => star = true,
            Token::Word(word, false) if depth == 0 && previous != Token::Mark(b'.') => {
                let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
                if first_word && is("DISTINCT") {
                    first_word = false;
                    continue;
                }
                if item.is_some() && (is("ORDER") || is("SKIP") || is("LIMIT") || is("UNION")) {
                    break;
                }
                if is("AS") && item.is_some() {
                    expect_alias = true;
                    previous = token;
                    continue;
                }
            }
            _ => {}
        }
        first_word = false;
        if expect_alias && let Token::Word(word, quoted) = token {
            alias = Some(if quoted { word.replace("``", "`") } else { word.to_owned() });
            expect_alias = false;
        } else {
            item = Some((item.map_or(start, |(s, _)| s), end));
        }
        previous = token;
    }
    finish(&mut item, &mut alias, &mut names);
    (if star { None } else { Some(names) }, aggregates)
}

fn is_aggregate(token: Token<'_>) -> bool {
    const NAMES: [&str; 10] = [
        "count",
        "sum",
        "avg",
        "min",
        "max",
        "collect",
        "percentileDisc",
        "percentileCont",
        "stDev",
        "stDevP",
    ];
    matches!(token, Token::Word(word, false) if NAMES.iter().any(|n| n.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(query: &str) -> Option<Vec<String>> {
        shape(query).columns
    }

    #[test]
    fn columns_by_alias_or_by_text() {
        for (query, expected) in [
            ("RETURN 1 AS one", &["one"][..]),
            (
                "MATCH (n) RETURN n.name, n.born+1 , count( * ) AS c ORDER BY c DESC LIMIT 3",
                &["n.name", "n.born+1", "c"],
            ),
            ("return distinct a.`x y` as `the x``s`, 'a, AS b' ;", &["the x`s", "'a, AS b'"]),
            (
                "UNWIND [1,2] AS x RETURN [y IN [1,2] WHERE y > 1 | y] AS l, {a: 1, b: 'AS q'}",
                &["l", "{a: 1, b: 'AS q'}"],
            ),
            ("RETURN CASE WHEN true THEN 1 ELSE 2 END AS v", &["v"]),
            ("RETURN 1 AS a UNION RETURN 2 AS a", &["a"]),
            ("MATCH (n) WHERE EXISTS { MATCH (m) RETURN m AS inner } RETURN n", &["n"]),
            ("// RETURN no\n/* RETURN neither */ RETURN 'RETURN' AS yes", &["yes"]),
            ("MATCH (n) RETURN n.return, n.limit SKIP 1", &["n.return", "n.limit"]),
            ("RETURN größe AS 名前", &["名前"]),
            ("CREATE (n:X {a: 'RETURN 1'})", &[]),
            ("CALL db.counts()", &["kind", "name", "count"]),
            ("CALL db.counts() YIELD kind AS k RETURN k", &["k"]),
        ] {
            let expected: Vec<String> = expected.iter().map(|c| (*c).to_owned()).collect();
            assert_eq!(columns(query), Some(expected), "{query}");
        }
    }

    #[test]
    fn unknown_is_said() {
        assert_eq!(columns("MATCH (n) RETURN *"), None);
        assert_eq!(columns("MATCH (n) RETURN *, 1 AS one"), None);
        assert_eq!(columns("CALL db.counts() YIELD kind"), None);
    }

    #[test]
    fn kinds() {
        for (query, kind) in [
            ("MATCH (n) RETURN n", "r"),
            ("CREATE (n)", "w"),
            ("MERGE (n:A) SET n.x = 1 RETURN n", "rw"),
            ("CREATE INDEX ON :A(x)", "s"),
            ("MATCH (n:Set) WHERE n.create = 'DELETE' RETURN n", "r"),
        ] {
            assert_eq!(shape(query).kind, kind, "{query}");
        }
    }

    #[test]
    fn grouping_is_seen_in_the_return_only() {
        assert!(shape("MATCH (n) RETURN n, COUNT (*)").aggregates);
        assert!(!shape("MATCH (n) WITH n, count(*) AS c RETURN n, c").aggregates);
        assert!(!shape("MATCH (n) RETURN n.count AS count").aggregates);
    }

    #[test]
    fn no_text_breaks_it() {
        let pieces = [
            "'", "\"", "`", "/*", "//", "\\", "ö", "RETURN ", " AS ", "(", ")", ",", "*", "{", "}", "\n", "x",
        ];
        // Every text of up to four pieces: the scanner ends, and stays on character boundaries.
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    for d in pieces {
                        shape(&format!("RETURN {a}{b}{c}{d}"));
                        shape(&format!("{a}{b}{c}{d}"));
                    }
                }
            }
        }
    }
}
