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

/// A result behind `) -> ` shares its line with the opening brace up to this width …
const RESULT_WIDTH: usize = 85;

/// … and stays in one piece, the brace below it, up to this one.
const RESULT_ALONE_WIDTH: usize = 93;

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
            if line.is_empty() && begins_block(word) {
                // It is a word here, not the mark of a list or a rule.
                let at = word.find(['.', ')']).unwrap_or(0);
                line.push_str(&format!("{}\\{}", &word[..at], &word[at..]));
                continue;
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

    /// `before(arguments)after`, on one line or an argument a line. What `before` assigns to, if it does, stands in front of `=`, `+=` or `:`.
    pub(crate) fn call(&mut self, before: &str, arguments: &[&str], after: &str) {
        let indent = self.indent();
        let assigned = [" += ", " = ", ": "].iter().find_map(|sign| {
            let at = before.find(sign)? + sign.len();
            Some((&before[..at], &before[at..]))
        });
        let Some((head, callee)) = assigned else {
            let call = Call { callee: before, arguments, after };
            let lines = call.lines(indent, indent).unwrap_or_else(|| call.broken(indent));
            self.lines("", &lines);
            return;
        };
        let call = Call { callee, arguments, after };
        let here = call.lines(indent + head.len(), indent);
        let below = call.lines(indent + INDENT, indent + INDENT);
        // A field of a literal stays in its line if it can; what is assigned goes into the next one if it is shorter there.
        let member = head.ends_with(": ");
        match (here, below) {
            (Some(here), Some(below)) if !member && here.len() > 1 && is_better_below(&here, &below) => {
                self.below(head, &below);
            }
            (Some(here), _) => self.lines(head, &here),
            (None, below) => self.below(head, &below.unwrap_or_else(|| call.broken(indent + INDENT))),
        }
    }

    /// Lines that carry their own indent, but for the first, which stands behind `head`.
    fn lines(&mut self, head: &str, lines: &[String]) {
        for (index, line) in lines.iter().enumerate() {
            if index == 0 {
                self.line(&format!("{head}{line}"));
            } else {
                self.text.push_str(line);
                self.text.push('\n');
            }
        }
    }

    /// `head` alone, and the lines one level in below it.
    fn below(&mut self, head: &str, lines: &[String]) {
        self.open(head.trim_end());
        self.lines("", lines);
        self.depth -= 1;
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
        let tuple = |item: &str| item.strip_prefix('(')?.strip_suffix(')').map(str::to_owned);
        let blank = " ".repeat(INDENT);
        // A single tuple is opened together with its list.
        if let ([item], Some(head)) = (items, before.strip_suffix("= &"))
            && let Some(inside) = tuple(item)
        {
            let whole = format!("&[{item}]{after}");
            if inside.chars().count() <= CALL_WIDTH && self.fits(&format!("{blank}{whole}")) {
                self.below(&format!("{head}="), &[whole]);
                return;
            }
            self.open(&format!("{before}[("));
            for part in split(&inside) {
                self.line(&format!("{part},"));
            }
            self.close(&format!(")]{after}"));
            return;
        }
        self.open(&format!("{before}["));
        for item in items {
            match tuple(item).filter(|inside| inside.chars().count() > CALL_WIDTH) {
                Some(inside) => {
                    self.open("(");
                    for part in split(&inside) {
                        self.line(&format!("{part},"));
                    }
                    self.close("),");
                }
                None => self.line(&format!("{item},")),
            }
        }
        self.close(&format!("]{after}"));
    }

    /// `before Name { fields } after`, on one line or a field a line.
    pub(crate) fn literal(&mut self, before: &str, fields: &[String], after: &str) {
        if self.short_literal(before, &fields.join(", "), after) {
            return;
        }
        self.open(&format!("{before} {{"));
        for field in fields {
            self.line(&format!("{field},"));
        }
        self.close(&format!("}}{after}"));
    }

    /// `before Name { inside } after`, where that is short enough for one line. Otherwise nothing, and `false`.
    pub(crate) fn short_literal(&mut self, before: &str, inside: &str, after: &str) -> bool {
        let line = format!("{before} {{ {inside} }}{after}");
        let short = inside.chars().count() <= STRUCT_WIDTH && self.fits(&line);
        if short {
            self.line(&line);
        }
        short
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
        let result = after.strip_prefix(" -> ").unwrap_or_default();
        let width = result.chars().count();
        if width <= RESULT_WIDTH {
            self.line(&format!("){after} {{"));
        } else if width <= RESULT_ALONE_WIDTH {
            self.line(&format!("){after}"));
            self.line("{");
        } else {
            let indent = self.indent();
            let lines = broken_type(result, indent, " {");
            self.lines(") -> ", &lines);
        }
        self.depth += 1;
    }

    /// The head of an `impl Trait for Type`, with what it implements below where the two are too long for a line. It opens the body.
    pub(crate) fn implement(&mut self, what: &str, target: &str) {
        let line = format!("impl{what} for {target} {{");
        if self.fits(&line) {
            self.open(&line);
            return;
        }
        self.open(&format!("impl{what}"));
        self.line(&format!("for {target}"));
        self.close("{");
        self.depth += 1;
    }

    /// A variant of an enum with one type in it.
    pub(crate) fn variant(&mut self, name: &str, ty: &str) {
        let line = format!("{name}({ty}),");
        if self.fits(&line) {
            self.line(&line);
            return;
        }
        self.open(&format!("{name}("));
        self.line(&format!("{ty},"));
        self.close("),");
    }

    /// An arm of a `match`: a line, or a block.
    pub(crate) fn arm(&mut self, pattern: &str, value: &str) {
        let line = format!("{pattern} => {value},");
        if self.fits(&line) {
            self.line(&line);
            return;
        }
        self.open(&format!("{pattern} => {{"));
        self.line(value);
        self.close("}");
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

    /// `head Type after`, for a member, a constant or a type of its own; `head` ends with `:` or `=`.
    pub(crate) fn typed(&mut self, head: &str, ty: &str, after: &str) {
        let line = format!("{head} {ty}{after}");
        if self.fits(&line) {
            self.line(&line);
            return;
        }
        let indent = self.indent();
        let here = broken_type(ty, indent, after);
        // What has no brackets to be broken at goes below as it is.
        let below = type_lines(ty, indent + INDENT, after);
        if is_better_below(&here, &below) {
            self.below(head, &below);
        } else {
            self.lines(&format!("{head} "), &here);
        }
    }

    /// A field of a literal that a method gives: `name: view.name(),`, or the method in the next line.
    pub(crate) fn given(&mut self, name: &str, object: &str, method: &str, after: &str) {
        let line = format!("{name}: {object}{method}{after}");
        // Where it is questioned, rustfmt keeps a character for that.
        let kept = if after.starts_with('?') { " " } else { "" };
        if self.fits(&format!("{line}{kept}{kept}")) {
            self.line(&line);
            return;
        }
        self.open(&format!("{name}: {object}"));
        self.line(&format!("{method}{after}"));
        self.depth -= 1;
    }
}

/// A call whose callee may be a path with types in it.
struct Call<'a> {
    callee: &'a str,
    arguments: &'a [&'a str],
    after: &'a str,
}

impl Call<'_> {
    /// As it stands behind `column` characters, its further lines with their `indent`. None where rustfmt finds no way to put it there.
    fn lines(&self, column: usize, indent: usize) -> Option<Vec<String>> {
        let Self { callee, after, .. } = self;
        let inside = self.arguments.join(", ");
        let whole = format!("{callee}({inside}){after}");
        let narrow = inside.chars().count() <= CALL_WIDTH;
        if self.arguments.is_empty() || narrow && column + whole.chars().count() <= WIDTH {
            return Some(vec![whole]);
        }
        // The bracket that opens the arguments, and where the whole is questioned a character that rustfmt keeps for that.
        let kept = 1 + usize::from(after.starts_with('?'));
        if column + callee.chars().count() + kept <= WIDTH {
            return Some(self.broken(indent));
        }
        let (head, types, tail) = generic(callee)?;
        if column + callee.chars().count() - (tail.len() - 1) <= WIDTH {
            return None;
        }
        let mut lines = vec![head.to_owned()];
        for ty in types {
            lines.extend(indented(type_lines(ty, indent + INDENT, ","), indent + INDENT));
        }
        let blank = " ".repeat(indent);
        // rustfmt counts as if the path were not broken, and leaves out the last comma where the arguments alone would have fitted.
        let arguments = inside.chars().count() + 2 + after.chars().count();
        let member = column > indent && after.ends_with(',');
        let fits = |path: usize| column + path + arguments <= WIDTH;
        if (!member || fits(head.len() + tail.len())) && (narrow || !member && self.arguments.len() == 1) {
            lines.push(format!("{blank}{tail}({inside}){after}"));
        } else {
            let mut rest = Call { callee: tail, ..*self }.broken(indent);
            if let (true, [_, argument, _]) = (fits(0), rest.as_mut_slice()) {
                argument.pop();
            }
            lines.extend(indented(rest, indent));
        }
        Some(lines)
    }

    /// With an argument a line.
    fn broken(&self, indent: usize) -> Vec<String> {
        let Self { callee, arguments, after } = self;
        let (blank, inner) = (" ".repeat(indent), " ".repeat(indent + INDENT));
        let mut lines = vec![format!("{callee}(")];
        // Short words stay together; rustfmt's `short_array_element_width_threshold`.
        let short =
            |argument: &&str| argument.chars().count() <= SHORT_WIDTH && !argument.contains(['(', ' ']);
        if arguments.iter().all(short) {
            lines.push(format!("{inner}{},", arguments.join(", ")));
        } else {
            lines.extend(arguments.iter().map(|argument| format!("{inner}{argument},")));
        }
        lines.push(format!("{blank}){after}"));
        lines
    }
}

/// The first line with its indent, for lines whose others have it.
fn indented(mut lines: Vec<String>, indent: usize) -> Vec<String> {
    if let Some(first) = lines.first_mut() {
        first.insert_str(0, &" ".repeat(indent));
    }
    lines
}

/// rustfmt's choice between an expression behind its `=` and one below it.
fn is_better_below(here: &[String], below: &[String]) -> bool {
    let ends_with = |lines: &[String], end: char| lines.first().is_some_and(|line| line.ends_with(end));
    below.len() == 1 || here.len() > below.len() + 1 || ends_with(here, '(') && !ends_with(below, '(')
}

/// `A<B, C>D` as `A<`, the types inside, and `>D`.
fn generic(text: &str) -> Option<(&str, Vec<&str>, &str)> {
    let open = text.find('<')?;
    let mut depth = 0;
    let close = text.char_indices().skip(open).find_map(|(at, c)| {
        depth += match c {
            '<' => 1,
            '>' => -1,
            _ => 0,
        };
        (depth == 0).then_some(at)
    })?;
    Some((&text[..=open], split(&text[open + 1..close]), &text[close..]))
}

/// What commas outside of brackets separate.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// A type that begins at `indent`, in one line if it fits.
fn type_lines(ty: &str, indent: usize, after: &str) -> Vec<String> {
    let whole = format!("{ty}{after}");
    if indent + whole.chars().count() <= WIDTH { vec![whole] } else { broken_type(ty, indent, after) }
}

/// A type with what is inside its brackets a line each.
fn broken_type(ty: &str, indent: usize, after: &str) -> Vec<String> {
    let Some((head, types, tail)) = generic(ty) else { return vec![format!("{ty}{after}")] };
    let mut lines = vec![head.to_owned()];
    for ty in types {
        lines.extend(indented(type_lines(ty, indent + INDENT, ","), indent + INDENT));
    }
    lines.push(format!("{}{tail}{after}", " ".repeat(indent)));
    lines
}

/// Whether a word at the beginning of a line would be the mark of a list, a rule or a heading.
fn begins_block(word: &str) -> bool {
    let number = word.strip_suffix(['.', ')']).unwrap_or_default();
    let counts = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    counts || word == "+" || ['-', '=', '_', '~'].iter().any(|&mark| word.chars().all(|c| c == mark))
}

/// The address at the beginning of a text, if one stands there: `https://…` up to what cannot be part of it.
fn address(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let scheme = text.len() - rest.len();
    let part = |c: char| c.is_ascii_alphanumeric() || "-._~:/?#@!$&'+,;=%".contains(c);
    let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
    // A sentence may end behind it.
    let address = text[..scheme + end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'']);
    (address.len() > scheme).then_some(address)
}

/// Text from a schema as it may stand in documentation: nothing in it is a tag, a heading or code, and no link but an address.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if let Some(address) = address(&text[at..]) {
            out.push_str(&format!("<{address}>"));
            chars.nth(address.len() - 2);
            continue;
        }
        match c {
            '[' | ']' | '<' | '>' | '*' | '#' | '|' | '\\' | '&' => {
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
        let linked = "see <https://a.example/b_c?d=1#e>, or \\<<http://f>\\>.";
        assert_eq!(escaped("see https://a.example/b_c?d=1#e, or <http://f>."), linked);
        assert_eq!(escaped("https:// and http://."), "https:// and http://.");
        for (text, line) in
            [("- a", "\\- a"), ("1. a", "1\\. a"), ("--- a", "\\--- a"), ("2 a", "2 a"), ("-1 a", "-1 a")]
        {
            let mut code = Code::default();
            code.doc(text);
            assert_eq!(code.into_text(), format!("/// {line}\n"));
        }
    }
}
