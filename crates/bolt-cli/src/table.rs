//! Records as a table for people: columns sized by a bounded window of first rows, the rest streamed at those widths.
//!
//! Owns the layout only; cells come as text that holds no control characters ([`crate::text`] sees to that). At most [`WINDOW_ROWS`]
//! rows and [`WINDOW_BYTES`] bytes of text are ever held; once they are full, or the result ends, widths are settled and every later
//! cell that is wider is cut with `…`. A cut cell loses characters for good: `--format json` and `csv` never cut.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::sink::{Cell, Sink};

/// Rows that are sized before the first one is printed.
const WINDOW_ROWS: usize = 1_000;
/// Bytes of cell text held while sizing: far above a screen, far below the memory bound of the command.
const WINDOW_BYTES: usize = 256 << 10;
/// Bytes of one cell that are looked at. What is wider than any terminal would be cut anyway.
pub(crate) const CELL_BYTES: usize = 4 << 10;
/// Widest column when standard output is not a terminal, whose width would tell.
const COLUMN_WIDTH_MAX: usize = 160;
/// Narrowest a column is squeezed to so that a row fits the terminal.
const COLUMN_WIDTH_MIN: usize = 8;

/// One cell of the window: where its text ends, and how it is laid out.
#[derive(Clone, Copy)]
struct Held {
    end: usize,
    width: usize,
    cut: bool,
}

/// The table of one result.
pub(crate) struct Table {
    names: Vec<String>,
    widths: Vec<usize>,
    /// Whether a column held nothing but numbers (and nulls) in the window: such columns are set flush right.
    numeric: Vec<Numeric>,
    text: String,
    held: Vec<Held>,
    settled: bool,
    column: usize,
    total_width: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Numeric {
    Unknown,
    Yes,
    No,
}

/// What a cell holds, as far as layout cares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Number,
    Other,
}

impl Table {
    /// `names` are the columns, already free of control characters; `total_width` is the terminal's width, if there is one.
    pub(crate) fn new(names: Vec<String>, total_width: Option<usize>) -> Self {
        let columns = names.len();
        Self {
            widths: names.iter().map(|n| n.width()).collect(),
            numeric: vec![Numeric::Unknown; columns],
            names,
            text: String::new(),
            held: Vec::new(),
            settled: false,
            column: 0,
            total_width,
        }
    }

    /// Adds the next cell of the current row; the last cell of a row ends it.
    pub(crate) fn cell(&mut self, out: &mut impl Sink, cell: &Cell, kind: Kind) {
        let column = self.column;
        if self.settled {
            self.edge(out, column);
            self.write(out, column, cell.as_str(), cell.is_cut());
        } else {
            let text = cell.as_str();
            let width = text.width();
            let wanted = width + usize::from(cell.is_cut());
            self.widths[column] = self.widths[column].max(wanted);
            self.numeric[column] = match (self.numeric[column], kind) {
                (n, Kind::Null) => n,
                (Numeric::No, _) | (_, Kind::Other) => Numeric::No,
                (_, Kind::Number) => Numeric::Yes,
            };
            self.text.push_str(text);
            self.held.push(Held { end: self.text.len(), width, cut: cell.is_cut() });
        }
        self.column += 1;
        if self.column == self.names.len() {
            self.column = 0;
            if self.settled {
                out.put(b" |\n");
            } else if self.held.len() >= WINDOW_ROWS * self.names.len() || self.text.len() >= WINDOW_BYTES {
                self.settle(out);
            }
        }
    }

    /// Prints what is still held and the closing line. A result without columns prints nothing.
    pub(crate) fn finish(&mut self, out: &mut impl Sink) {
        if self.names.is_empty() {
            return;
        }
        if !self.settled {
            self.settle(out);
        }
        self.rule(out);
    }

    /// Fixes the widths, prints the head and the rows held, and gives their memory back.
    fn settle(&mut self, out: &mut impl Sink) {
        self.settled = true;
        self.fit();
        self.rule(out);
        let names = std::mem::take(&mut self.names);
        for (column, name) in names.iter().enumerate() {
            self.edge(out, column);
            self.write(out, column, name, false);
        }
        out.put(b" |\n");
        self.names = names;
        self.rule(out);
        let (text, held) = (std::mem::take(&mut self.text), std::mem::take(&mut self.held));
        let mut start = 0;
        for (i, cell) in held.iter().enumerate() {
            let column = i % self.names.len();
            self.edge(out, column);
            self.write_measured(out, column, &text[start..cell.end], cell.width, cell.cut);
            start = cell.end;
            if column + 1 == self.names.len() {
                out.put(b" |\n");
            }
        }
    }

    /// Squeezes the widest columns until a row fits the terminal, as far as that is possible.
    fn fit(&mut self) {
        let Some(total) = self.total_width else {
            for width in &mut self.widths {
                *width = (*width).min(COLUMN_WIDTH_MAX);
            }
            return;
        };
        let frame = 3 * self.widths.len() + 1;
        loop {
            let used: usize = self.widths.iter().sum::<usize>() + frame;
            let Some(widest) = (0..self.widths.len()).max_by_key(|c| self.widths[*c]) else { return };
            if used <= total || self.widths[widest] <= COLUMN_WIDTH_MIN {
                return;
            }
            // Down to the next widest at most, so that equal columns are squeezed alike.
            let next =
                (0..self.widths.len()).filter(|c| *c != widest).map(|c| self.widths[c]).max().unwrap_or(0);
            let step = (self.widths[widest] - next.max(COLUMN_WIDTH_MIN)).clamp(1, used - total);
            self.widths[widest] -= step;
        }
    }

    fn edge(&self, out: &mut impl Sink, column: usize) {
        out.put(if column == 0 { b"| " } else { b" | " });
    }

    fn rule(&self, out: &mut impl Sink) {
        for width in &self.widths {
            out.put(b"+");
            repeat(out, b'-', width + 2);
        }
        out.put(b"+\n");
    }

    fn write(&self, out: &mut impl Sink, column: usize, text: &str, cut: bool) {
        self.write_measured(out, column, text, text.width(), cut);
    }

    fn write_measured(&self, out: &mut impl Sink, column: usize, text: &str, width: usize, cut: bool) {
        let room = self.widths[column];
        if width + usize::from(cut) <= room {
            let pad = room - width - usize::from(cut);
            let right = self.numeric[column] == Numeric::Yes;
            if right {
                repeat(out, b' ', pad);
            }
            out.text(text);
            if cut {
                out.text("…");
            }
            if !right {
                repeat(out, b' ', pad);
            }
            return;
        }
        let (mut end, mut used) = (0, 0);
        for (at, c) in text.char_indices() {
            let w = c.width().unwrap_or(0);
            if used + w > room - 1 {
                break;
            }
            used += w;
            end = at + c.len_utf8();
        }
        out.text(&text[..end]);
        out.text("…");
        repeat(out, b' ', room - 1 - used);
    }
}

fn repeat(out: &mut impl Sink, byte: u8, mut count: usize) {
    let block = [byte; 64];
    while count > 0 {
        let n = count.min(block.len());
        out.put(&block[..n]);
        count -= n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(names: &[&str], width: Option<usize>, rows: &[&[(&str, Kind)]]) -> String {
        let mut out = Vec::new();
        let mut cell = Cell::new(CELL_BYTES);
        let mut table = Table::new(names.iter().map(|n| (*n).to_owned()).collect(), width);
        for row in rows {
            for (text, kind) in *row {
                cell.clear();
                cell.text(text);
                table.cell(&mut out, &cell, *kind);
            }
        }
        table.finish(&mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn numbers_right_text_left_wide_characters_counted() {
        let text = print(
            &["name", "n"],
            None,
            &[
                &[("Ann", Kind::Other), ("7", Kind::Number)],
                &[("名前", Kind::Other), ("null", Kind::Null)],
                &[("größe", Kind::Other), ("-1234", Kind::Number)],
            ],
        );
        assert_eq!(
            text,
            "\
+-------+-------+
| name  |     n |
+-------+-------+
| Ann   |     7 |
| 名前  |  null |
| größe | -1234 |
+-------+-------+
"
        );
    }

    #[test]
    fn a_narrow_terminal_squeezes_the_widest_column() {
        let long = "abcdefghijklmnopqrstuvwxyz";
        let text = print(&["a", "long"], Some(24), &[&[("1", Kind::Number), (long, Kind::Other)]]);
        for line in text.lines() {
            assert_eq!(line.width(), 24, "{line}");
        }
        assert!(text.contains("| abcdefghijklmno… |"), "{text}");
    }

    #[test]
    fn later_rows_keep_the_widths_of_the_window() {
        let mut rows: Vec<&[(&str, Kind)]> = vec![&[("1", Kind::Number)]; WINDOW_ROWS];
        rows.push(&[("123456789", Kind::Number)]);
        let text = print(&["abc"], None, &rows);
        assert!(text.ends_with("|   1 |\n| 12… |\n+-----+\n"), "{}", &text[text.len() - 40..]);
    }

    #[test]
    fn the_window_is_bounded_by_bytes_too() {
        let big = "x".repeat(CELL_BYTES);
        let mut out = Vec::new();
        let mut cell = Cell::new(CELL_BYTES);
        let mut table = Table::new(vec!["a".into()], None);
        for _ in 0..200 {
            cell.clear();
            cell.text(&big);
            table.cell(&mut out, &cell, Kind::Other);
            assert!(table.text.len() < WINDOW_BYTES + CELL_BYTES);
        }
        assert!(table.settled);
        assert!(table.text.is_empty() && table.text.capacity() == 0, "what was held is given back");
    }

    #[test]
    fn no_rows_and_no_columns() {
        assert_eq!(print(&["a"], None, &[]), "+---+\n| a |\n+---+\n+---+\n");
        assert_eq!(print(&[], None, &[]), "");
    }
}
