//! Rust source reduced to its code: comments, strings and character literals blanked out.
//!
//! Owns one small lexer, so that a check for a word such as `unsafe` looks at code and never at prose. It keeps every
//! line break, so line numbers stay true. Limits: it knows tokens, not grammar; a macro that builds a keyword from
//! pieces gets past it (the compiler's own lints do not let that pass).

/// `text` with everything but code replaced by spaces, line for line.
pub(crate) fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = vec![b' '; bytes.len()];
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let end = match rest[0] {
            b'/' if rest.starts_with(b"//") => {
                at + rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len())
            }
            b'/' if rest.starts_with(b"/*") => at + block_comment(rest),
            b'"' => at + quoted(rest, b'"'),
            b'\'' => at + character(rest),
            b'r' | b'b' | b'c' if !in_word(bytes, at) => match raw_string(rest) {
                Some(length) => at + length,
                None => keep(&mut code, bytes, at),
            },
            _ => keep(&mut code, bytes, at),
        };
        at = end;
    }
    for (slot, &byte) in code.iter_mut().zip(bytes) {
        if byte == b'\n' {
            *slot = b'\n';
        }
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// The 1-based lines of `code` on which `word` stands by itself.
pub(crate) fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let on_line = |line: &str| {
        line.match_indices(word).any(|(at, _)| {
            let whole = |byte: Option<&u8>| !byte.is_some_and(|&byte| is_word(byte));
            let bytes = line.as_bytes();
            whole(at.checked_sub(1).and_then(|before| bytes.get(before))) && whole(bytes.get(at + word.len()))
        })
    };
    code.lines().enumerate().filter(|(_, line)| on_line(line)).map(|(at, _)| at + 1).collect()
}

fn keep(code: &mut [u8], bytes: &[u8], at: usize) -> usize {
    // Code outside ASCII does not occur in keywords; a blank keeps the result valid text.
    if bytes[at].is_ascii() {
        code[at] = bytes[at];
    }
    at + 1
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn in_word(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(1).is_some_and(|before| is_word(bytes[before]))
}

/// Length of a block comment, which nest in Rust.
fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Length of a literal that starts and ends with `quote`, escapes skipped.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Length of a character literal, or 1 for the quote of a lifetime.
fn character(rest: &[u8]) -> usize {
    match rest.get(1) {
        Some(b'\\') => quoted(rest, b'\''),
        Some(_) => {
            // One character of at most four bytes, then the closing quote; otherwise it was a lifetime.
            let close = rest.iter().take(6).skip(2).position(|&byte| byte == b'\'');
            match close {
                Some(0) => 3,
                Some(more) if !rest[1].is_ascii() => more + 3,
                _ => 1,
            }
        }
        None => 1,
    }
}

/// Length of `r"…"`, `r#"…"#`, `b"…"`, `br#"…"#`, `b'…'`, `c"…"`; `None` where `rest` begins something else.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let prefix = rest.iter().take_while(|byte| matches!(byte, b'r' | b'b' | b'c')).count();
    if prefix > 2 {
        return None;
    }
    let raw = rest[..prefix].contains(&b'r');
    let after = &rest[prefix..];
    if !raw {
        return match after.first()? {
            b'"' => Some(prefix + quoted(after, b'"')),
            b'\'' if rest[0] == b'b' => Some(prefix + quoted(after, b'\'')),
            _ => None,
        };
    }
    let hashes = after.iter().take_while(|&&byte| byte == b'#').count();
    if after.get(hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let body = &after[hashes + 1..];
    let end = body.windows(close.len()).position(|window| window == close);
    Some(end.map_or(rest.len(), |end| prefix + hashes + 1 + end + close.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_code_are_seen_and_words_in_prose_are_not() {
        let cases: &[(&str, &[usize])] = &[
            ("unsafe { x }", &[1]),
            ("// unsafe\nunsafe fn f() {}", &[2]),
            ("/* unsafe /* unsafe */ unsafe */ let a;", &[]),
            ("let s = \"unsafe \\\" unsafe\"; unsafe {}", &[1]),
            ("let s = r#\"unsafe \" \"#;\nunsafe {}", &[2]),
            ("let s = br\"unsafe\\\"; unsafe {}", &[1]),
            ("let c = '\"'; unsafe {}", &[1]),
            ("let c = '\\''; unsafe {}", &[1]),
            ("let c = b'\"'; let d = b'\\''; unsafe {}", &[1]),
            ("let c = '…'; fn f<'a>(x: &'a u8) { unsafe {} }", &[1]),
            ("forbid(unsafe_code)", &[]),
            ("let r#type = 1; for r in x {}\nunsafe {}", &[2]),
        ];
        for (text, lines) in cases {
            assert_eq!(&lines_with(&code_of(text), "unsafe"), lines, "{text}");
        }
    }

    #[test]
    fn line_numbers_stay_true() {
        let text = "/* a\n b */ fn f() {}\nlet s = \"x\ny\";\nunsafe {}\n";
        let code = code_of(text);
        assert_eq!(code.lines().count(), text.lines().count());
        assert_eq!(lines_with(&code, "unsafe"), [5]);
    }
}
