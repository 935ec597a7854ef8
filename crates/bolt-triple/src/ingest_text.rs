//! Owns: N-Triples and Turtle as an ingest stage: lines into the parser (oxttl), triples of terms out, with their places. Allocates what the parser
//! allocates: the terms of each triple. Limits: a statement of 16 MiB unless told otherwise.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use std::io::{BufRead, ErrorKind};

use oxttl::{NTriplesParser, TurtleParser};

use crate::stages::{Fault, Ingest, Place};

/// How many bytes may be read before the parser has a triple or an error of them, unless it is told otherwise.
pub const DEFAULT_STATEMENT_BYTES: usize = 16 * 1024 * 1024;

/// As much of a line is kept to tell columns.
const LINE_BYTES_KEPT: usize = 64 * 1024;

/// What some editors write at the beginning of a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What is wrong with a line of N-Triples that the parser would go on behind; the place is where what has no end begins.
const CUT_SHORT: &str = "The line ends within this: a term is not closed, or the dot is missing";

/// A triple of terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermTriple(oxrdf::Triple);

impl TermTriple {
    /// The subject; displayed, it is as in N-Triples.
    pub fn subject(&self) -> impl fmt::Display + '_ {
        &self.0.subject
    }

    /// The predicate; displayed, it is as in N-Triples.
    pub fn predicate(&self) -> impl fmt::Display + '_ {
        &self.0.predicate
    }

    /// The object; displayed, it is as in N-Triples.
    pub fn object(&self) -> impl fmt::Display + '_ {
        &self.0.object
    }
}

enum Parser {
    NTriples(oxttl::ntriples::LowLevelNTriplesParser),
    Turtle(oxttl::turtle::LowLevelTurtleParser),
}

/// N-Triples or Turtle from a reader: an [`Ingest`] of [`TermTriple`]s.
///
/// **Places.** A malformed statement is told with the line and column of the token that does not fit. The place of a triple is the line on which it was
/// complete; in N-Triples, where a line is a triple, a refused term has its own column too, in Turtle it has that of the first
/// character of the line.
///
/// The parser tells no place with a triple, and a term of Turtle may be written in many ways and stand lines before the end of its triple: so no
/// column of its own there.
///
/// **Errors.** N-Triples: a malformed line is one error and no triple, and the next call goes on with the line behind it. Turtle: the next call goes on
/// behind what did not fit, as far as the parser finds its way; a literal without an end takes the rest of the text. After a failure of the
/// reader the next call reads again. After a statement above the limit there is nothing more.
///
/// A byte order mark at the very beginning is skipped. RDF 1.2's triple terms and base directions are refused.
///
/// **Cost.** The parser allocates the text of each term; a statement that is not complete is kept in memory.
pub struct Text<R> {
    reader: R,
    parser: Parser,
    statement_bytes_max: usize,
    /// Bytes since the parser had something to say.
    pending_bytes: usize,
    /// The number of the line being read, from 1, and its beginning.
    line: u64,
    line_text: Vec<u8>,
    line_ended: bool,
    /// N-Triples: what the parser calls its first line has this many lines before it; it is a new one after each malformed line.
    lines_before: u64,
    /// N-Triples: the parser has said something about the line being read.
    line_answered: bool,
    /// N-Triples: the rest of the line being read is left out.
    line_skipped: bool,
    place: Place,
    read_all: bool,
    ended: bool,
}

impl<R: BufRead> Text<R> {
    /// N-Triples.
    pub fn ntriples(reader: R) -> Self {
        Self::new(reader, Parser::NTriples(NTriplesParser::new().low_level()))
    }

    /// Turtle.
    pub fn turtle(reader: R) -> Self {
        Self::new(reader, Parser::Turtle(TurtleParser::new().low_level()))
    }

    /// The same with statements of at most this many bytes.
    #[must_use]
    pub fn with_statement_limit(mut self, bytes: usize) -> Self {
        self.statement_bytes_max = bytes;
        self
    }

    fn new(reader: R, parser: Parser) -> Self {
        Self {
            reader,
            parser,
            statement_bytes_max: DEFAULT_STATEMENT_BYTES,
            pending_bytes: 0,
            line: 1,
            line_text: Vec::new(),
            line_ended: false,
            lines_before: 0,
            line_answered: false,
            line_skipped: false,
            place: Place::Text { line: 1, column: 1 },
            read_all: false,
            ended: false,
        }
    }

    /// Hands the parser the next line, or more if it waits for the end of a long statement: it begins a token anew each time.
    fn feed(&mut self) -> Result<(), Fault> {
        if self.pending_bytes > self.statement_bytes_max {
            self.ended = true;
            self.place = self.line_place();
            return Err(Fault::TermTooLong { bytes: self.pending_bytes, max: self.statement_bytes_max });
        }
        let enough = self.pending_bytes / 2;
        let mut fed = 0;
        loop {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.place = self.line_place();
                    return Err(Fault::Io(error));
                }
            };
            if self.line_text.is_empty() && self.line == 1 && available.starts_with(BYTE_ORDER_MARK) {
                self.reader.consume(BYTE_ORDER_MARK.len());
                continue;
            }
            let line_end = available.iter().position(|&byte| byte == b'\n');
            let piece = &available[..line_end.map_or(available.len(), |at| at + 1)];
            if piece.is_empty() {
                self.read_all = true;
                match &mut self.parser {
                    Parser::NTriples(parser) => parser.end(),
                    Parser::Turtle(parser) => parser.end(),
                }
                return Ok(());
            }
            if core::mem::replace(&mut self.line_ended, line_end.is_some()) {
                self.line += 1;
                self.line_text.clear();
                (self.line_answered, self.line_skipped) = (false, false);
            }
            match &mut self.parser {
                Parser::NTriples(_) if self.line_skipped => {}
                Parser::NTriples(parser) => parser.extend_from_slice(piece),
                Parser::Turtle(parser) => parser.extend_from_slice(piece),
            }
            let room = LINE_BYTES_KEPT.saturating_sub(self.line_text.len());
            self.line_text.extend_from_slice(&piece[..piece.len().min(room)]);
            let len = piece.len();
            self.reader.consume(len);
            self.pending_bytes = self.pending_bytes.saturating_add(len);
            fed += len;
            if fed >= enough || self.line_ended && self.is_ntriples() {
                return Ok(());
            }
        }
    }

    fn is_ntriples(&self) -> bool {
        matches!(self.parser, Parser::NTriples(_))
    }

    /// True if this is a line of N-Triples that was read to its end and that the parser still waits for more of.
    fn line_is_cut_short(&self) -> bool {
        let content = || self.line_text.get(skip_blanks(&self.line_text, 0));
        self.is_ntriples()
            && self.line_ended
            && !self.line_answered
            && !matches!(content(), None | Some(b'#' | b'\r' | b'\n'))
    }

    /// Leaves the rest of this line of N-Triples to nobody, and begins anew behind it: a literal without an end would take all other lines along.
    fn begin_anew_behind_this_line(&mut self) {
        self.parser = Parser::NTriples(NTriplesParser::new().low_level());
        self.lines_before = self.line;
        (self.line_answered, self.line_skipped) = (true, true);
        self.pending_bytes = 0;
        self.ended = self.read_all;
    }

    /// The first character of the line that is no blank.
    fn line_place(&self) -> Place {
        self.place_at(skip_blanks(&self.line_text, 0))
    }

    fn place_at(&self, at: usize) -> Place {
        // Every byte that continues no code point begins one.
        let before = self.line_text.iter().take(at).filter(|&&byte| byte & 0xc0 != 0x80).count();
        Place::Text { line: self.line, column: before as u64 + 1 }
    }
}

fn skip_blanks(line: &[u8], from: usize) -> usize {
    let blanks = line.iter().skip(from).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    from + blanks
}

/// The end of the term that begins at `from`, in a line that is well-formed N-Triples.
fn skip_term(line: &[u8], from: usize) -> usize {
    let ends = |byte: u8| match line.get(from) {
        Some(b'<') => byte == b'>',
        _ => matches!(byte, b' ' | b'\t'),
    };
    let len = line.iter().skip(from).take_while(|&&byte| !ends(byte)).count();
    from + len + usize::from(line.get(from) == Some(&b'<'))
}

impl<R: BufRead> Ingest for Text<R> {
    type Item = TermTriple;

    fn ingest(&mut self) -> Result<Option<TermTriple>, Fault> {
        // The end of a line was told to the parser as the end of its text: it takes no more.
        let mut cut_short = false;
        while !self.ended {
            let next = match &mut self.parser {
                Parser::NTriples(parser) => parser.parse_next(),
                Parser::Turtle(parser) => parser.parse_next(),
            };
            match next {
                Some(Ok(triple)) => {
                    self.pending_bytes = 0;
                    self.line_answered = true;
                    self.place = self.line_place();
                    return Ok(Some(TermTriple(triple)));
                }
                Some(Err(error)) => {
                    self.pending_bytes = 0;
                    let start = error.location().start;
                    self.place =
                        Place::Text { line: self.lines_before + start.line + 1, column: start.column + 1 };
                    let mut message = error.message();
                    if self.is_ntriples() {
                        if self.lines_before + start.line >= self.line {
                            // What does not fit is the end of the line, which the parser tells as the beginning of the next.
                            self.place = self.place_at(self.line_text.trim_ascii_end().len());
                        }
                        self.begin_anew_behind_this_line();
                        if cut_short || message.starts_with("Unexpected end") {
                            message = CUT_SHORT;
                        }
                    }
                    return Err(Fault::Malformed(message.to_string().into_boxed_str()));
                }
                None if self.read_all => self.ended = true,
                None if self.line_is_cut_short() => {
                    self.line_answered = true;
                    if let Parser::NTriples(parser) = &mut self.parser {
                        parser.end();
                    }
                    cut_short = true;
                }
                None if cut_short => self.begin_anew_behind_this_line(),
                None => self.feed()?,
            }
        }
        Ok(None)
    }

    fn place(&self) -> Place {
        self.place
    }

    fn place_of_term(&self, term: usize) -> Place {
        if matches!(self.parser, Parser::Turtle(_)) {
            return self.place;
        }
        let mut at = skip_blanks(&self.line_text, 0);
        for _ in 0..term {
            at = skip_blanks(&self.line_text, skip_term(&self.line_text, at));
        }
        self.place_at(at)
    }
}

impl<R> fmt::Debug for Text<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text").field("place", &self.place).field("ended", &self.ended).finish_non_exhaustive()
    }
}
