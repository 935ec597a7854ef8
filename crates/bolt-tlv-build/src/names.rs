//! Owns: which names a schema may use, and how they read in Rust.
//! Knows nothing of schemas. Names are ASCII, at most `NAME_CHARS_MAX` long.

/// Long enough for any message, short enough for one line of generated code.
pub(crate) const NAME_CHARS_MAX: usize = 64;

/// Words that no identifier may be, not even as `r#word`.
const NEVER: &[&str] = &["self", "Self", "super", "crate", "_"];

/// Words that need `r#` to be identifiers, in edition 2024 and before.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait",
    "true", "try", "type", "typeof", "union", "unsafe", "unsized", "use", "virtual", "where", "while",
    "yield",
];

/// Type names that generated code needs for itself.
const TAKEN_TYPES: &[&str] = &[
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Eq",
    "Err",
    "From",
    "Hash",
    "Into",
    "Iterator",
    "Message",
    "None",
    "Ok",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Result",
    "Self",
    "Send",
    "Sized",
    "Some",
    "String",
    "Sync",
    "ToOwned",
    "TryFrom",
    "TryInto",
    "Unknown",
    "Vec",
];

/// Why a text cannot be a name, as "expected …".
pub(crate) fn check(text: &str) -> Result<(), String> {
    let mut chars = text.chars();
    let first = chars.next();
    if !first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
    {
        return Err(
            "expected a name of ASCII letters, digits and `_` that does not begin with a digit".to_owned()
        );
    }
    if text.len() > NAME_CHARS_MAX {
        return Err(format!("expected a name of at most {NAME_CHARS_MAX} characters"));
    }
    if text.chars().all(|c| c == '_') {
        return Err("expected a name with a letter in it".to_owned());
    }
    Ok(())
}

/// The name of a service: it is a TOML key and becomes a constant.
pub(crate) fn check_service(text: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.is_empty()
        || text.len() > NAME_CHARS_MAX
        || !text.chars().all(good)
        || !text.contains(|c: char| c.is_ascii_alphabetic())
    {
        return Err(format!(
            "expected a name of letters, digits, `-` and `_`, at most {NAME_CHARS_MAX} characters long"
        ));
    }
    Ok(())
}

/// The words of a name: `poolAddress`, `pool_address` and `POOL_ADDRESS` all have two.
fn words(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for (i, &c) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            continue;
        }
        let before = i.checked_sub(1).map(|i| chars[i]);
        let after = chars.get(i + 1);
        // `aB` begins a word at B, and so does the last capital of `HTTPServer`.
        let begins = c.is_ascii_uppercase()
            && (before.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                || before.is_some_and(|b| b.is_ascii_uppercase())
                    && after.is_some_and(char::is_ascii_lowercase));
        if begins && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        word.push(c.to_ascii_lowercase());
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// As a type: `swap_event` and `SwapEvent` are `SwapEvent`. A name that is a type's name already is kept as it is.
pub(crate) fn type_name(text: &str) -> String {
    let camel = text.starts_with(|c: char| c.is_ascii_uppercase()) && !text.contains('_');
    let shouted = text.len() > 1 && !text.contains(|c: char| c.is_ascii_lowercase());
    if camel && !shouted {
        return text.to_owned();
    }
    let capitalised = |word: &String| {
        let (first, rest) = word.split_at(1);
        first.to_ascii_uppercase() + rest
    };
    let name: String = words(text).iter().map(capitalised).collect();
    // `_1` has no letter to begin with.
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("N{name}") } else { name }
}

/// As a field or a function: `poolAddress` is `pool_address`; a keyword gets its `r#`.
pub(crate) fn field_name(text: &str) -> String {
    let name = words(text).join("_");
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("n{name}")
    } else if KEYWORDS.contains(&name.as_str()) {
        format!("r#{name}")
    } else if NEVER.contains(&name.as_str()) {
        format!("{name}_")
    } else {
        name
    }
}

/// As a constant: `polygon-adapter` is `POLYGON_ADAPTER`.
pub(crate) fn constant_name(text: &str) -> String {
    let name = words(text).join("_").to_ascii_uppercase();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("N{name}") } else { name }
}

/// Whether generated code uses this type name itself.
pub(crate) fn is_taken(type_name: &str) -> bool {
    TAKEN_TYPES.contains(&type_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_rust() {
        for (text, type_, field, constant) in [
            ("SwapEvent", "SwapEvent", "swap_event", "SWAP_EVENT"),
            ("swap_event", "SwapEvent", "swap_event", "SWAP_EVENT"),
            ("amount0In", "Amount0In", "amount0_in", "AMOUNT0_IN"),
            ("HTTPServer", "HTTPServer", "http_server", "HTTP_SERVER"),
            ("BUY", "Buy", "buy", "BUY"),
            ("type", "Type", "r#type", "TYPE"),
            ("self", "Self", "self_", "SELF"),
            ("_1", "N1", "n1", "N1"),
            ("sqrtPriceX96", "SqrtPriceX96", "sqrt_price_x96", "SQRT_PRICE_X96"),
            ("A", "A", "a", "A"),
        ] {
            assert_eq!((type_name(text).as_str(), field_name(text).as_str()), (type_, field), "{text}");
            assert_eq!(constant_name(text), constant, "{text}");
        }
        assert_eq!(constant_name("polygon-adapter"), "POLYGON_ADAPTER");
    }

    #[test]
    fn names_are_checked() {
        for good in ["a", "_a", "A1", "type"] {
            assert_eq!(check(good), Ok(()));
        }
        for bad in ["", "1a", "a-b", "ä", "_", "a b", &"x".repeat(NAME_CHARS_MAX + 1)] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(
            check_service("polygon-adapter").is_ok()
                && check_service("").is_err()
                && check_service("--").is_err()
        );
    }
}
