//! Owns: Rust source text, laid out as rustfmt lays it out, so that generated code needs no formatter and reads like written code.
//! Knows the few forms that generated code has (calls, signatures, arrays, struct literals, documentation), nothing of what they mean. Where a
//! single name is too long for a line it is left long, as rustfmt leaves it.

/// rustfmt's `max_width`.
const WIDTH: usize = 100;

/// rustfmt's `fn_call_width` and `array_width`: what stands between the brackets of a call or an array on one line.
const CALL_WIDTH: usize = 60;

/// rustfmt's `struct_lit_width`.
const STRUCT_WIDTH: usize = 18;

/// rustfmt's `short_array_element_width_threshold`.
const SHORT_WIDTH: usize = 10;

const INDENT: usize = 4;

/// Source text that grows line by line.
#[derive(Debug, Default)]
pub(crate) struct Code {
    text: String,
    depth: usize,
}

impl Code {
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn indent(&self) -> usize {
        self.depth * INDENT
    }

    pub(crate) fn line(&mut self, line: &str) {
        if !line.is_empty() {
            self.text.extend(std::iter::repeat_n(' ', self.indent()));
            self.text.push_str(line);
        }
        self.text.push('\n');
    }

    pub(crate) fn blank(&mut self) {
        self.line("");
    }

    /// A line that opens a block.
    pub(crate) fn open(&mut self, line: &str) {
        self.line(line);
        self.depth += 1;
    }

    pub(crate) fn close(&mut self, line: &str) {
        self.depth -= 1;
        self.line(line);
    }

    /// One level out again, without a line.
    pub(crate) fn close_silently(&mut self) {
        self.depth -= 1;
    }

    /// One level in, for a block whose opening line is there already.
    pub(crate) fn open_again(&mut self) {
        self.depth += 1;
    }

    fn fits(&self, line: &str) -> bool {
        self.indent() + line.chars().count() <= WIDTH
    }

    /// Documentation, its words filled into lines.
    pub(crate) fn doc(&mut self, text: &str) {
        let width = WIDTH.saturating_sub(self.indent() + "/// ".len());
        let mut line = String::new();
        for word in text.split_whitespace() {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                self.line(&format!("/// {line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            self.line(&format!("/// {line}"));
        }
    }

    pub(crate) fn doc_blank(&mut self) {
        self.line("///");
    }

    /// `before(arguments)after`, on one line or an argument a line. Where `before` assigns and the rest fits into the next line, it goes there.
    pub(crate) fn call(&mut self, before: &str, arguments: &[&str], after: &str) {
        let inside = arguments.join(", ");
        let narrow = inside.chars().count() <= CALL_WIDTH;
        if narrow && self.fits(&format!("{before}({inside}){after}")) || arguments.is_empty() {
            self.line(&format!("{before}({inside}){after}"));
            return;
        }
        let assigned = [" += ", " = ", ": "].iter().find_map(|sign| {
            let at = before.find(sign)? + sign.len();
            Some((before[..at].trim_end(), &before[at..]))
        });
        if let Some((head, callee)) = assigned {
            let whole = format!("{callee}({inside}){after}");
            let member = head.ends_with(':');
            let fits_below = narrow && !member && self.indent() + INDENT + whole.chars().count() <= WIDTH;
            if fits_below || !self.fits(&format!("{before}(")) {
                self.open(head);
                if fits_below {
                    self.line(&whole);
                } else {
                    self.broken_call(callee, arguments, after);
                }
                self.depth -= 1;
                return;
            }
        }
        self.broken_call(before, arguments, after);
    }

    fn broken_call(&mut self, before: &str, arguments: &[&str], after: &str) {
        self.open(&format!("{before}("));
        // Short words stay together; rustfmt's `short_array_element_width_threshold`.
        let short =
            |argument: &&str| argument.chars().count() <= SHORT_WIDTH && !argument.contains(['(', ' ']);
        if arguments.iter().all(short) {
            self.line(&format!("{},", arguments.join(", ")));
        } else {
            for argument in arguments {
                self.line(&format!("{argument},"));
            }
        }
        self.close(&format!("){after}"));
    }

    /// `before[items]after`, on one line, in the next line, or an item a line.
    pub(crate) fn array(&mut self, before: &str, items: &[&str], after: &str) {
        let inside = items.join(", ");
        let narrow = inside.chars().count() <= CALL_WIDTH;
        let line = format!("{before}[{inside}]{after}");
        if narrow && self.fits(&line) || items.is_empty() {
            self.line(&line);
            return;
        }
        if let (Some(head), true) = (before.strip_suffix("= &"), narrow) {
            let value = format!("&[{inside}]{after}");
            if self.indent() + INDENT + value.chars().count() <= WIDTH {
                self.pair(&format!("{head}="), &value);
                return;
            }
        }
        self.open(&format!("{before}["));
        for item in items {
            self.line(&format!("{item},"));
        }
        self.close(&format!("]{after}"));
    }

    /// `before Name { fields } after`, on one line or a field a line.
    pub(crate) fn literal(&mut self, before: &str, fields: &[String], after: &str) {
        let inside = fields.join(", ");
        let line = format!("{before} {{ {inside} }}{after}");
        if inside.chars().count() <= STRUCT_WIDTH && self.fits(&line) {
            self.line(&line);
            return;
        }
        self.open(&format!("{before} {{"));
        for field in fields {
            self.line(&format!("{field},"));
        }
        self.close(&format!("}}{after}"));
    }

    /// The head of a function, `before(parameters)after`, on one line or a parameter a line. It opens the body.
    pub(crate) fn function(&mut self, before: &str, parameters: &[&str], after: &str) {
        let line = format!("{before}({}){after} {{", parameters.join(", "));
        if self.fits(&line) {
            self.open(&line);
            return;
        }
        self.open(&format!("{before}("));
        for parameter in parameters {
            self.line(&format!("{parameter},"));
        }
        self.depth -= 1;
        let close = format!("){after} {{");
        if self.fits(&close) {
            self.line(&close);
        } else {
            self.line(&format!("){after}"));
            self.line("{");
        }
        self.depth += 1;
    }

    /// `before after`, broken behind `before` where the two are too long for a line.
    pub(crate) fn pair(&mut self, before: &str, after: &str) {
        let line = format!("{before} {after}");
        if self.fits(&line) {
            self.line(&line);
            return;
        }
        self.open(before);
        self.line(after);
        self.depth -= 1;
    }

    /// A struct field with its type, `name: Type,`.
    pub(crate) fn member(&mut self, name: &str, ty: &str) {
        self.pair(&format!("{name}:"), &format!("{ty},"));
    }
}

/// Text from a schema as it may stand in documentation: nothing in it is a link, a tag or a code block.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '[' | ']' | '<' | '>' | '*' | '#' | '|' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '`' => out.push('\''),
            // A bare carriage return is an error in a comment, and so are marks that turn the direction of text.
            c if c.is_control()
                || ('\u{202A}'..='\u{202E}').contains(&c)
                || ('\u{2066}'..='\u{2069}').contains(&c) =>
            {
                out.push(' ');
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_broken_as_rustfmt_breaks_them() {
        let mut code = Code::default();
        code.open("fn f() {");
        code.call("g", &["a", "b"], ";");
        let long = "a".repeat(CALL_WIDTH);
        code.call("g", &[&long], ";");
        code.call("g", &[&long, "b"], ";");
        code.close("}");
        let expected = format!(
            "fn f() {{\n    g(a, b);\n    g({long});\n    g(\n        {long},\n        b,\n    );\n}}\n"
        );
        assert_eq!(code.into_text(), expected);
    }

    #[test]
    fn documentation_is_filled_and_harmless() {
        let mut code = Code::default();
        code.doc(&"word ".repeat(30));
        let text = code.into_text();
        assert!(
            text.lines().count() == 2
                && text.lines().all(|line| line.starts_with("/// word") && line.len() <= WIDTH)
        );
        assert_eq!(escaped("a [b] <c>\n```x"), "a \\[b\\] \\<c\\> '''x");
    }
}
