//! Owns: what is said about a schema or a configuration that cannot be used, with file, line, column and the line itself.
//! Never prints and never ends the process. At most `PROBLEMS_MAX` problems are kept; the rest are counted.

use std::fmt;

/// More than this helps nobody: the first ones are usually the cause of the others.
const PROBLEMS_MAX: usize = 20;

/// A quoted source line is cut to this many characters.
const QUOTE_CHARS_MAX: usize = 120;

/// Some editors begin a file with it; it is no part of the first line.
const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// Line and column of a character in a file, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Place {
    /// The place of the byte `offset` of `text`. Columns count characters.
    pub(crate) fn of_offset(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        Self { line, column: before[start..].trim_start_matches(BYTE_ORDER_MARK).chars().count() + 1 }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    file: String,
    place: Option<Place>,
    what: String,
    help: String,
    quote: String,
    /// Characters of the line in front of the quote.
    cut: usize,
}

/// Why no code was generated: every problem found, each with file, line and column, what was found, and what was expected.
///
/// Made for a build script's output, and therefore its `Debug` form is its `Display` form: returned from `main`, it prints as
/// it should.
///
/// ```
/// use bolt_tlv_build::Config;
/// let error = Config::from_text("messages:\n  - name: Ping\n    fields:\n      - {name: at, type: u46}\n").generate_code().unwrap_err();
/// let text = error.to_string();
/// assert!(text.starts_with("contracts.yaml:4:26: unknown type `u46`"), "{text}");
/// assert!(text.contains("did you mean `u64`?"), "{text}");
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Error {
    problems: Vec<Problem>,
    left_out: usize,
}

impl Error {
    /// How many problems were found.
    #[must_use]
    pub fn problem_count(&self) -> usize {
        self.problems.len() + self.left_out
    }

    /// Prints every problem, one `cargo::error` each so that Cargo shows it without `-vv`, and ends the build script with
    /// status 1.
    pub fn exit(&self) -> ! {
        for problem in &self.problems {
            for line in problem.to_string().lines() {
                println!("cargo::error={line}");
            }
        }
        if self.left_out > 0 {
            println!("cargo::error=and {} more", self.left_out);
        }
        std::process::exit(1)
    }

    pub(crate) fn file(file: &str, what: impl Into<String>, help: impl Into<String>) -> Self {
        let problem = Problem {
            file: file.to_owned(),
            place: None,
            what: what.into(),
            help: help.into(),
            quote: String::new(),
            cut: 0,
        };
        Self { problems: vec![problem], left_out: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    fn push(&mut self, problem: Problem) {
        if self.problems.len() == PROBLEMS_MAX {
            self.left_out += 1;
        } else {
            self.problems.push(problem);
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(place) = self.place else {
            write!(f, "{}: {}", self.file, self.what)?;
            return if self.help.is_empty() { Ok(()) } else { write!(f, "\n  = {}", self.help) };
        };
        write!(f, "{}:{}:{}: {}", self.file, place.line, place.column, self.what)?;
        let number = place.line.to_string();
        let margin = number.len().max(4);
        let dots = if self.cut > 0 { "…" } else { "" };
        write!(f, "\n{number:>margin$} | {dots}{}", self.quote)?;
        let column = place.column - self.cut;
        if column <= self.quote.chars().count() + 1 {
            // Tabs are kept, so that the mark stands under its character however wide the reader's tabs are.
            let before = dots.chars().chain(self.quote.chars()).take(column - 1 + dots.chars().count());
            let blank: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            write!(f, "\n{:>margin$} | {blank}^", "")?;
        } else {
            write!(f, "\n{:>margin$} |", "")?;
        }
        if self.help.is_empty() { Ok(()) } else { write!(f, " {}", self.help) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        if self.left_out > 0 {
            write!(f, "\nand {} more", self.left_out)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl std::error::Error for Error {}

/// Collects what is wrong in one file.
#[derive(Debug)]
pub(crate) struct Problems<'a> {
    file: &'a str,
    lines: Vec<&'a str>,
    error: Error,
}

impl<'a> Problems<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        let lines = text.trim_start_matches(BYTE_ORDER_MARK).lines().collect();
        Self { file, lines, error: Error::default() }
    }

    /// Notes a problem. `help` stands behind the mark under the line: what was expected, or what to do.
    pub(crate) fn add(&mut self, place: Place, what: impl Into<String>, help: impl Into<String>) {
        let line = self.lines.get(place.line - 1).copied().unwrap_or_default();
        // Of a long line the part around the place is shown.
        let cut = if place.column > QUOTE_CHARS_MAX { place.column - QUOTE_CHARS_MAX / 2 } else { 0 };
        // Controls would disturb the terminal, and a quote is one line.
        let clean = |c: char| if c.is_control() && c != '\t' { ' ' } else { c };
        let mut quote: String = line.chars().skip(cut).take(QUOTE_CHARS_MAX).map(clean).collect();
        if line.chars().nth(cut + QUOTE_CHARS_MAX).is_some() {
            quote.push('…');
        }
        let (file, place) = (self.file.to_owned(), Some(place));
        self.error.push(Problem { file, place, what: what.into(), help: help.into(), quote, cut });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.error.is_empty()
    }

    /// All of them, in the order of the lines.
    pub(crate) fn finish(mut self) -> Error {
        self.error.problems.sort_by_key(|problem| problem.place);
        self.error
    }
}

/// The candidate that a mistyped word most likely meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One mistake in three letters is a slip; more is another word.
    let allowed = SLIP * (word.chars().count() / 3).clamp(1, 3);
    let distances = candidates.into_iter().map(|candidate| (distance(word, candidate), candidate));
    distances.filter(|&(distance, _)| distance <= allowed).min().map(|(_, candidate)| candidate)
}

/// "did you mean `x`?", or else the general expectation.
pub(crate) fn suggest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    otherwise: impl FnOnce() -> String,
) -> String {
    nearest(word, candidates).map_or_else(otherwise, |near| format!("did you mean `{near}`?"))
}

/// What a letter too many, too few or wrong counts in [`distance`]. Two neighbours in the wrong order count half: fingers do that.
pub(crate) const SLIP: usize = 2;

/// How far `b` is from `a`, whatever their case, in halves of a [`SLIP`]. Words longer than 64 characters are all far apart, which bounds
/// the work.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    const LONG: usize = 64;
    let lower = |text: &str| text.chars().map(|c| c.to_ascii_lowercase()).take(LONG + 1).collect::<Vec<_>>();
    let (a, b) = (lower(a), lower(b));
    if a.len() > LONG || b.len() > LONG {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                SLIP * (i + j)
            } else {
                let replaced = rows[i - 1][j - 1] + SLIP * usize::from(a[i - 1] != b[j - 1]);
                let mut best = replaced.min(rows[i - 1][j] + SLIP).min(rows[i][j - 1] + SLIP);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_its_line_and_a_mark() {
        let mut problems = Problems::new("a.yaml", "x: 1\n\ty: zwei\n");
        problems.add(Place { line: 2, column: 5 }, "`zwei` is no number", "expected a number");
        assert_eq!(
            problems.finish().to_string(),
            "a.yaml:2:5: `zwei` is no number\n   2 | \ty: zwei\n     | \t   ^ expected a number"
        );
    }

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let line = format!("{}wrong{}", "a".repeat(1_000), "b".repeat(1_000));
        for (column, quote, mark) in [
            (1, format!("{}…", "a".repeat(120)), 0),
            (1_001, format!("…{}wrong{}…", "a".repeat(59), "b".repeat(56)), 60),
            (2_005, format!("…{}", "b".repeat(60)), 60),
        ] {
            let mut problems = Problems::new("a.yaml", &line);
            problems.add(Place { line: 1, column }, "wrong", "expected less");
            let expected = format!(
                "a.yaml:1:{column}: wrong\n   1 | {quote}\n     | {}^ expected less",
                " ".repeat(mark)
            );
            assert_eq!(problems.finish().to_string(), expected);
        }
    }

    #[test]
    fn the_number_of_problems_is_bounded() {
        let mut problems = Problems::new("a.yaml", "");
        for _ in 0..PROBLEMS_MAX + 5 {
            problems.add(Place { line: 1, column: 1 }, "wrong", "");
        }
        let error = problems.finish();
        assert_eq!(error.problem_count(), PROBLEMS_MAX + 5);
        assert!(error.to_string().ends_with("and 5 more"));
    }

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        assert_eq!(nearest("Adress", ["Hash", "Address", "u64"]), Some("Address"));
        assert_eq!(nearest("u46", ["u64", "u8", "i8"]), Some("u64"));
        assert_eq!(nearest("Price", ["Address", "u64"]), None);
        assert_eq!(distance(&"x".repeat(65), "x"), usize::MAX);
    }

    #[test]
    fn places_count_characters() {
        let text = "a\näöü b";
        let at = text.find('b').expect("it is there");
        assert_eq!(Place::of_offset(text, at), Place { line: 2, column: 5 });
        assert_eq!(Place::of_offset(text, 1_000), Place { line: 2, column: 6 });
    }
}
