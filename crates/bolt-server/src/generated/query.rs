//! The few query forms that the generated backend understands, read by hand.
//!
//! Owns the forms and their parser; never evaluates anything. No recursion, so no input can exhaust the stack. What
//! does not fit is a syntax error that lists the forms.

use crate::Failure;

/// Told to whoever sends something else.
const FORMS: &str = "this server generates streams and understands only: \
    CALL generate.scalars(N) | generate.nodes(N) | generate.lists(N) | generate.mixed(N) | \
    generate.slow(N, delay_ms) | generate.failing(N, fail_at), with integers or $parameters as arguments, \
    and RETURN <literal or $parameter> [AS name], ...";

/// A query that was understood; borrows its text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Query<'q> {
    Generate { what: Generator, arguments: Vec<Operand<'q>> },
    Return(Vec<(Operand<'q>, &'q str)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generator {
    Scalars,
    Nodes,
    Lists,
    Mixed,
    Slow,
    Failing,
}

/// A literal or a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand<'q> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Parameter(&'q str),
}

struct Parser<'q> {
    text: &'q str,
    at: usize,
}

/// # Errors
/// A syntax error that says where, and lists the forms.
pub(crate) fn parse(text: &str) -> Result<Query<'_>, Failure> {
    let mut p = Parser { text, at: 0 };
    let query = if p.keyword("RETURN") {
        let mut items = Vec::new();
        loop {
            p.space();
            let begin = p.at;
            let operand = p.operand()?;
            let source = &text[begin..p.at];
            items.push((operand, if p.keyword("AS") { p.name()? } else { source }));
            if !p.symbol(',') {
                break;
            }
        }
        Query::Return(items)
    } else if p.keyword("CALL") {
        p.space();
        let what = match p.dotted().to_ascii_lowercase().as_str() {
            "generate.scalars" => Generator::Scalars,
            "generate.nodes" => Generator::Nodes,
            "generate.lists" => Generator::Lists,
            "generate.mixed" => Generator::Mixed,
            "generate.slow" => Generator::Slow,
            "generate.failing" => Generator::Failing,
            _ => return Err(p.error()),
        };
        let mut arguments = Vec::new();
        if !p.symbol('(') {
            return Err(p.error());
        }
        loop {
            p.space();
            arguments.push(p.operand()?);
            if !p.symbol(',') {
                break;
            }
        }
        let wanted = if matches!(what, Generator::Slow | Generator::Failing) { 2 } else { 1 };
        if !p.symbol(')') || arguments.len() != wanted {
            return Err(p.error());
        }
        Query::Generate { what, arguments }
    } else {
        return Err(p.error());
    };
    p.symbol(';');
    p.space();
    if p.at == text.len() { Ok(query) } else { Err(p.error()) }
}

impl<'q> Parser<'q> {
    fn rest(&self) -> &'q str {
        &self.text[self.at..]
    }

    fn error(&self) -> Failure {
        let place = self.text[..self.at].chars().count();
        Failure::syntax(format!("Invalid input at character {}: {FORMS}", place + 1))
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes a word, in any case, that does not go on as a longer one.
    fn keyword(&mut self, word: &str) -> bool {
        self.space();
        let rest = self.rest();
        let found = rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
            && !rest[word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if found {
            self.at += word.len();
        }
        found
    }

    fn symbol(&mut self, symbol: char) -> bool {
        self.space();
        let found = self.rest().starts_with(symbol);
        if found {
            self.at += symbol.len_utf8();
        }
        found
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'q str {
        let rest = self.rest();
        let len = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn dotted(&mut self) -> &'q str {
        self.take(|c| c.is_alphanumeric() || c == '_' || c == '.')
    }

    /// An identifier, plain or in backticks.
    fn name(&mut self) -> Result<&'q str, Failure> {
        self.space();
        if self.rest().starts_with('`') {
            self.at += 1;
            let name = self.take(|c| c != '`');
            if !self.rest().starts_with('`') || name.is_empty() {
                return Err(self.error());
            }
            self.at += 1;
            return Ok(name);
        }
        let begin = self.at;
        let name = self.take(|c| c.is_alphanumeric() || c == '_');
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            self.at = begin;
            return Err(self.error());
        }
        Ok(name)
    }

    fn operand(&mut self) -> Result<Operand<'q>, Failure> {
        let begin = self.at;
        match self.rest().chars().next() {
            Some('$') => {
                self.at += 1;
                if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
                    return Ok(Operand::Parameter(self.take(|c| c.is_ascii_digit())));
                }
                // No space is allowed between the sign and the name.
                if self.rest().starts_with(char::is_whitespace) {
                    return Err(self.error());
                }
                Ok(Operand::Parameter(self.name()?))
            }
            Some(quote @ ('\'' | '"')) => self.string(quote),
            Some(c) if c.is_ascii_digit() || c == '-' || c == '.' => {
                let number = self.take(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
                if let Ok(int) = number.parse() {
                    return Ok(Operand::Int(int));
                }
                let digits = number.trim_start_matches('-');
                let is_float = digits.contains(['.', 'e', 'E'])
                    && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
                match number.parse() {
                    Ok(float) if is_float => Ok(Operand::Float(float)),
                    _ => {
                        self.at = begin;
                        Err(self.error())
                    }
                }
            }
            _ if self.keyword("null") => Ok(Operand::Null),
            _ if self.keyword("true") => Ok(Operand::Bool(true)),
            _ if self.keyword("false") => Ok(Operand::Bool(false)),
            _ => Err(self.error()),
        }
    }

    fn string(&mut self, quote: char) -> Result<Operand<'q>, Failure> {
        self.at += 1;
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((i, c)) = chars.next() {
            if c == quote {
                self.at += i + c.len_utf8();
                return Ok(Operand::Text(text));
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            match chars.next().map(|(_, c)| c) {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(c @ ('\\' | '\'' | '"')) => text.push(c),
                _ => {
                    self.at += i;
                    return Err(self.error());
                }
            }
        }
        self.at = self.text.len();
        Err(self.error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returned(text: &str) -> Vec<(Operand<'_>, &str)> {
        match parse(text) {
            Ok(Query::Return(items)) => items,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn literals_and_names() {
        assert_eq!(returned("RETURN 1"), [(Operand::Int(1), "1")]);
        assert_eq!(returned(" return  $x as x ;"), [(Operand::Parameter("x"), "x")]);
        assert_eq!(
            returned("RETURN -5 AS a, 1.5, 'it\\'s', \"q\" AS `odd name`, null, TRUE AS t, $0"),
            [
                (Operand::Int(-5), "a"),
                (Operand::Float(1.5), "1.5"),
                (Operand::Text("it's".into()), "'it\\'s'"),
                (Operand::Text("q".into()), "odd name"),
                (Operand::Null, "null"),
                (Operand::Bool(true), "t"),
                (Operand::Parameter("0"), "$0"),
            ]
        );
        assert_eq!(
            returned("RETURN -9223372036854775808"),
            [(Operand::Int(i64::MIN), "-9223372036854775808")]
        );
    }

    #[test]
    fn calls() {
        assert_eq!(
            parse("call Generate.slow($n, 10)"),
            Ok(Query::Generate {
                what: Generator::Slow,
                arguments: vec![Operand::Parameter("n"), Operand::Int(10)]
            })
        );
    }

    #[test]
    fn everything_else_is_a_syntax_error_that_lists_the_forms() {
        for text in [
            "",
            " ",
            ";",
            "MATCH (n) RETURN n",
            "RETURN",
            "RETURN 1,",
            "RETURN 1 AS",
            "RETURN 1 2",
            "RETURN 1 AS 2",
            "RETURNx",
            "RETURN x",
            "RETURN -inf",
            "RETURN 1x",
            "RETURN --1",
            "RETURN 'open",
            "RETURN 'bad \\q'",
            "RETURN $ x",
            "RETURN `a`",
            "RETURN 1 AS ``",
            "RETURN 1 AS `x",
            "RETURN 9223372036854775808",
            "CALL generate.scalars",
            "CALL generate.scalars()",
            "CALL generate.scalars(1, 2)",
            "CALL generate.slow(1)",
            "CALL generate.scalars(1",
            "CALL generate.other(1)",
            "CALL db.labels()",
            "größe",
            "RETURN 'größe' größe",
        ] {
            let failure = parse(text).expect_err(text);
            assert_eq!(failure.code(), "Neo.ClientError.Statement.SyntaxError", "{text}");
            assert!(failure.message().contains("generate.failing(N, fail_at)"), "{text}");
        }
    }
}
