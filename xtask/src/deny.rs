//! `cargo xtask deny`: the licence of every dependency, and where it came from.
//!
//! Owns a reader of SPDX expressions and the rule that each dependency of any member (development ones too) is under
//! a licence that deny.toml allows. Building cargo-deny costs several minutes of processor time, so it is used where
//! it is installed and never installed from here. Limit: without cargo-deny there is no check for advisories or
//! yanked versions.

use serde_json::Value;

use crate::run::{Context, Outcome, StageResult, answers};

/// `cargo xtask deny`.
pub(crate) fn run(context: &Context, arguments: &[String]) -> StageResult {
    if let [unexpected, ..] = arguments {
        return Err(format!("deny takes no argument, and `{unexpected}` was given"));
    }
    let list =
        std::fs::read_to_string(context.root.join("deny.toml")).map_err(|e| format!("deny.toml: {e}"))?;
    let allowed = allow_list(&list);
    if allowed.is_empty() {
        return Err("deny.toml allows no licence: is `allow = [` still there?".to_owned());
    }
    let text =
        context.cargo().args(["metadata", "--format-version=1", "--all-features"]).quiet().capture()?;
    let root: Value = serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = root["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut refused = Vec::new();
    for package in packages {
        let name = format!("{} {}", text_of(&package["name"]), text_of(&package["version"]));
        let licence = text_of(&package["license"]);
        if !permits(licence, &|id| allowed.iter().any(|allowed| allowed == id)) {
            refused.push(format!("{name} is under `{licence}`, which deny.toml does not allow"));
        }
        let source = text_of(&package["source"]);
        if !(source.is_empty() || source.starts_with("registry+")) {
            refused.push(format!("{name} comes from {source}: only the registry and this tree may be used"));
        }
    }
    println!("deny: {} packages, {} refused", packages.len(), refused.len());
    for line in &refused {
        println!("{line}");
    }
    if !refused.is_empty() {
        return Err(format!("{} packages refused", refused.len()));
    }
    if answers("cargo-deny", "--version") {
        context.cargo().args(["deny", "check", "licenses", "bans", "sources"]).go()?;
    } else {
        println!("cargo-deny is not installed: advisories and yanked versions were not looked up");
    }
    Ok(Outcome::Passed)
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The quoted words of `allow = [ … ]` in deny.toml.
fn allow_list(text: &str) -> Vec<String> {
    let Some((_, rest)) = text.split_once("\nallow = [") else { return Vec::new() };
    let list = rest.split(']').next().unwrap_or_default();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether an SPDX expression can be satisfied: one side of each OR (or of the older `/`), both of each AND.
fn permits(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let value = either(&words, &mut at, allowed);
    value == Some(true) && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut value = both(words, at, allowed)?;
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        value |= both(words, at, allowed)?;
    }
    Some(value)
}

fn both(words: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut value = one(words, at, allowed)?;
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        value &= one(words, at, allowed)?;
    }
    Some(value)
}

fn one(words: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let word = *words.get(*at)?;
    *at += 1;
    match word {
        "(" => {
            let value = either(words, at, allowed)?;
            let closed = words.get(*at) == Some(&")");
            *at += 1;
            closed.then_some(value)
        }
        ")" | "AND" | "OR" | "WITH" => None,
        id if words.get(*at) == Some(&"WITH") => {
            let exception = words.get(*at + 1)?;
            *at += 2;
            // An exception only ever adds a permission to the licence it stands behind.
            Some(allowed(&format!("{id} WITH {exception}")) || allowed(id))
        }
        id => Some(allowed(id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_weighed_as_spdx_means_them() {
        let allowed = |id: &str| matches!(id, "MIT" | "Apache-2.0" | "Unicode-3.0");
        let cases = [
            ("MIT", true),
            ("GPL-3.0-only", false),
            ("MIT OR Apache-2.0", true),
            ("GPL-3.0-only OR MIT", true),
            ("MIT/Apache-2.0", true),
            ("MIT AND GPL-3.0-only", false),
            ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
            ("(GPL-2.0-only OR GPL-3.0-only) AND MIT", false),
            ("MIT AND (GPL-2.0-only OR GPL-3.0-only)", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0-only", true),
            ("GPL-3.0-only OR MIT AND Unicode-3.0", true),
            ("", false),
            ("(MIT", false),
            ("MIT MIT", false),
        ];
        for (expression, expected) in cases {
            assert_eq!(permits(expression, &allowed), expected, "{expression}");
        }
    }

    #[test]
    fn the_list_is_read_from_the_file_cargo_deny_reads() {
        let text =
            "[licenses]\n# \"no\"\nallow = [\n  \"MIT\",\n  \"ISC\", # why\n]\n[bans]\ndeny = [\"x\"]\n";
        assert_eq!(allow_list(text), ["MIT", "ISC"]);
        assert_eq!(allow_list("[licenses]\n"), [""; 0]);
    }
}
