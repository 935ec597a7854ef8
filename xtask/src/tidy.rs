//! The house's rules as a check: layering, unsafe and atomics in their files, headers, pages, words.
//!
//! Owns every rule that neither the compiler nor clippy can hold. A rule is a function from data to findings, so each
//! is tested with data that breaks it. It reads the tree and `cargo metadata` and changes nothing. It also runs as an
//! ordinary test of this package, so `cargo test` alone keeps the house in order. Limits: it looks at tokens and
//! declared dependencies, not at meaning; taste is for review.

use std::path::Path;

use crate::run::{Context, Outcome, StageResult};
use crate::source::{code_of, lines_with};
use crate::workspace::{self, Kind, Package};

/// The picture in `docs/ARCHITECTURE.md`, lowest layer first. A normal or build dependency between members must point
/// to a strictly lower layer. The ground has two steps: atomics are named in bolt-sync, and bolt-alloc counts with them.
const LAYERS: &[&[&str]] = &[
    &["bolt-sync"],
    &["bolt-alloc"],
    &["bolt-buf", "bolt-arena", "bolt-objects", "bolt-triple", "bolt-tlv", "bbolt-pages"],
    // Runs in a user's build script and emits code for bolt-tlv; above it, so that its tests compile what it emits.
    &["bolt-tlv-build"],
    &["bolt-wire"],
    &["bolt-client", "bolt-server"],
    &["bolt-cli"],
];

/// Members that may use anything and that nothing may use.
const UNLAYERED: &[&str] =
    &["boltstack-benches", "boltstack-docs", "boltstack-interop", "boltstack-schemas", "xtask"];

/// Layers below this one are the ground: anybody's tests may stand on it.
const GROUND_LAYERS: usize = 2;

/// Development dependencies that do not point down, each with its reason.
const TEST_EDGES: &[(&str, &str)] = &[
    // A client is tested against a server on loopback; the server, for its part, never needs the client.
    ("bolt-client", "bolt-server"),
    // The reverse holds for one test alone: that what the server says is what our own client understands.
    ("bolt-server", "bolt-client"),
];

/// Packages that serve tests and benchmarks and may never reach a user's build.
const TEST_TOOLS: &[&str] = &["criterion", "proptest", "tempfile", "trybuild", "quickcheck"];

/// Crates in which the compiler itself forbids unsafe code, whatever their manifest lists.
const FORBID_UNSAFE: &[&str] = &["bolt-wire", "bolt-client", "bolt-server", "bolt-cli", "bolt-tlv-build"];

/// The crate that names the atomics of core and std, for all others.
const NAMES_ATOMICS: &str = "bolt-sync";

/// The words in its `//!` header that mark a file in which unsafe code may stand.
const UNSAFE_MARK: &str = concat!("unsafe: ", "allowed here");

/// A file longer than this is worth a thought; it is noted, not refused.
const LONG_FILE_LINES: usize = 900;

/// Words that never stand in the tree, put together from pieces so that this file may name them.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "an unfinished place"),
    (concat!("FIX", "ME"), "an unfinished place"),
    (concat!("XX", "X:"), "an unfinished place"),
    (concat!("place", "holder"), "a word that marks a stand-in"),
    (concat!("for", " now"), "a word that marks a stand-in"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/fa", "rm/"), "a path of one machine"),
    (concat!("index.crates", ".io"), "the host of a package registry"),
    (concat!("repo1.maven", ".org"), "the host of a package registry"),
    (concat!("pypi", ".org"), "the host of a package registry"),
];

/// One breach of a rule, with the place and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    place: String,
    what: String,
}

fn finding(place: impl Into<String>, what: impl Into<String>) -> Finding {
    Finding { place: place.into(), what: what.into() }
}

/// `cargo xtask tidy`.
pub(crate) fn run(context: &Context, arguments: &[String]) -> StageResult {
    if let [unexpected, ..] = arguments {
        return Err(format!("tidy takes no argument, and `{unexpected}` was given"));
    }
    let (findings, notes, files) = check_tree(context)?;
    for note in &notes {
        println!("note: {}: {}", note.place, note.what);
    }
    for finding in &findings {
        println!("{}: {}", finding.place, finding.what);
    }
    println!("tidy: {files} files, {} findings, {} notes", findings.len(), notes.len());
    if findings.is_empty() { Ok(Outcome::Passed) } else { Err(format!("{} findings", findings.len())) }
}

fn check_tree(context: &Context) -> Result<(Vec<Finding>, Vec<Finding>, usize), String> {
    let packages = workspace::load(context)?;
    let files = Tree::read(&context.root)?;
    let mut findings = layering(&packages);
    let mut notes = Vec::new();
    for package in &packages {
        let directory = package.directory.strip_prefix(&context.root).unwrap_or(&package.directory);
        let directory = slashes(directory);
        if package.published {
            findings.extend(crate_files(package, &directory, &files));
            notes.extend(test_layout(package, &directory));
        }
        let mut uses_atomics = false;
        let sources = files.under(&directory).filter(|(path, _)| is_rust(path));
        for (path, text) in sources {
            let inside = path[directory.len()..].trim_start_matches('/');
            findings.extend(unsafe_in_its_files(package, inside, path, text));
            findings.extend(atomics(package, inside, path, text));
            uses_atomics |= inside.starts_with("src/") && code_of(text).contains("bolt_sync::atomic");
        }
        if uses_atomics && !package.tests.iter().any(|test| test == "loom") {
            notes.push(finding(&directory, "uses atomics and has no tests/loom.rs"));
        }
        for listed in &package.unsafe_files {
            if files.get(&format!("{directory}/{listed}")).is_none() {
                let what = format!("lists {listed} as an unsafe file, but there is none");
                findings.push(finding(format!("{directory}/Cargo.toml"), what));
            }
        }
    }
    for (path, text) in &files.files {
        if is_rust(path) {
            findings.extend(header(path, text));
            let lines = text.lines().count();
            if lines > LONG_FILE_LINES {
                notes.push(finding(path, format!("{lines} lines; is it still one idea?")));
            }
        }
        findings.extend(words(path, text));
        if path.ends_with(".md") {
            findings.extend(links(path, text, &context.root));
        }
    }
    findings.extend(pages(&packages, &files));
    Ok((findings, notes, files.files.len()))
}

/// Every edge between members points to a strictly lower layer, and test tools stay in tests.
fn layering(packages: &[Package]) -> Vec<Finding> {
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    let is_member = |name: &str| packages.iter().any(|package| package.name == name);
    let mut findings = Vec::new();
    for package in packages {
        let place = format!("{} (Cargo.toml)", package.name);
        let unlayered = UNLAYERED.contains(&package.name.as_str());
        let own = layer(&package.name);
        if own.is_none() && !unlayered {
            findings.push(finding(
                &place,
                "has no layer: draw it in docs/ARCHITECTURE.md and add it to tidy's LAYERS",
            ));
        }
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let development = dependency.kind == Kind::Development;
            if !unlayered && !development && TEST_TOOLS.contains(&name) {
                findings.push(finding(&place, format!("{name} is for tests; make it a dev-dependency")));
            }
            if !unlayered && !development && name == "loom" && !dependency.optional && !dependency.conditional
            {
                findings.push(finding(&place, "loom must be optional or stand behind cfg(bolt_loom)"));
            }
            if !is_member(name) || unlayered {
                continue;
            }
            let allowed = match (own, layer(name)) {
                (Some(_), Some(ground)) if development && ground < GROUND_LAYERS => true,
                // A crate's tests may ask for one more of its own features.
                _ if development && package.name == name => true,
                (Some(own), Some(other)) if other < own => true,
                _ => development && TEST_EDGES.contains(&(package.name.as_str(), name)),
            };
            if !allowed {
                let what = format!("must not depend on {name}: an arrow only points to a lower layer");
                findings.push(finding(&place, what));
            }
        }
    }
    findings
}

/// README, CHANGELOG, licences, the manifest's fixed lines, and the compiler's own ban on unsafe where it belongs.
fn crate_files(package: &Package, directory: &str, files: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        match files.get(&format!("{directory}/{name}")) {
            None => findings.push(finding(directory, format!("has no {name}"))),
            Some(text) if text.trim().is_empty() => {
                findings.push(finding(directory, format!("{name} is empty")));
            }
            Some(_) => {}
        }
    }
    let manifest = format!("{directory}/Cargo.toml");
    let text = files.get(&manifest).unwrap_or_default();
    for (table, wanted) in [("[lib]", package.library), ("[[bin]]", !package.binaries.is_empty())] {
        if wanted && !table_has(text, table, "bench = false") {
            findings
                .push(finding(&manifest, format!("{table} needs `bench = false`: benches live in benches/")));
        }
    }
    if !table_has(text, "[lints]", "workspace = true") {
        findings.push(finding(&manifest, "needs `[lints] workspace = true`"));
    }
    for field in ["version", "edition", "rust-version", "license", "repository"] {
        if !table_has(text, "[package]", &format!("{field}.workspace = true")) {
            findings.push(finding(
                &manifest,
                format!("{field} belongs to the workspace: `{field}.workspace = true`"),
            ));
        }
    }
    let forbids = FORBID_UNSAFE.contains(&package.name.as_str());
    if forbids && !package.unsafe_files.is_empty() {
        findings.push(finding(&manifest, "lists unsafe files, but this crate forbids unsafe code"));
    }
    if package.unsafe_files.iter().all(|file| !file.starts_with("src/")) {
        for root in ["src/lib.rs", "src/main.rs"] {
            let path = format!("{directory}/{root}");
            if files.get(&path).is_some_and(|text| !code_of(text).contains("#![forbid(unsafe_code)]")) {
                findings.push(finding(
                    path,
                    "needs #![forbid(unsafe_code)], or its unsafe files listed in Cargo.toml",
                ));
            }
        }
    }
    if package.library {
        let root = format!("{directory}/src/lib.rs");
        let front = "#![doc = include_str!(\"../README.md\")]";
        // A README whose program needs std is left out of the pages made without it.
        let with_std = "#![cfg_attr(feature = \"std\", doc = include_str!(\"../README.md\"))]";
        if files.get(&root).is_some_and(|text| !text.contains(front) && !text.contains(with_std)) {
            findings.push(finding(root, format!("the README is the front page: {front}")));
        }
    }
    findings
}

/// One integration binary a crate, and one for loom: every further one links the world again.
fn test_layout(package: &Package, directory: &str) -> Vec<Finding> {
    let extra = package.tests.iter().filter(|name| !matches!(name.as_str(), "it" | "loom"));
    let note = |name: &String| {
        let what = format!("tests/{name}.rs is a binary of its own; could it be a module of tests/it?");
        finding(directory, what)
    };
    extra.map(note).collect()
}

fn unsafe_in_its_files(package: &Package, inside: &str, path: &str, text: &str) -> Option<Finding> {
    // A loom model stands in for the code it models and touches the same cells.
    if inside == "tests/loom.rs" {
        return None;
    }
    let listed = package.unsafe_files.iter().any(|file| file == inside);
    let marked = text.lines().any(|line| line.starts_with("//!") && line.trim_end().ends_with(UNSAFE_MARK));
    let lines = lines_with(&code_of(text), "unsafe");
    match (listed, marked, lines.first()) {
        (false, _, Some(line)) => Some(finding(
            format!("{path}:{line}"),
            "unsafe outside the files that [package.metadata.boltstack] unsafe-files lists",
        )),
        (false, true, None) => Some(finding(path, "carries the unsafe mark but is not listed in Cargo.toml")),
        (true, false, _) => {
            Some(finding(path, format!("is listed for unsafe code and lacks `//! {UNSAFE_MARK}`")))
        }
        (true, true, None) => {
            Some(finding(path, "is listed for unsafe code and has none: take it off the list"))
        }
        _ => None,
    }
}

/// Atomics are named through `bolt_sync`. Tests may count with one that loom need not know about.
fn atomics(package: &Package, inside: &str, path: &str, text: &str) -> Option<Finding> {
    if !package.published || package.name == NAMES_ATOMICS || !inside.starts_with("src/") {
        return None;
    }
    let code = code_of(text);
    let code = code.find("#[cfg(test)]").map_or(code.as_str(), |at| &code[..at]);
    let squeezed: String = code.split_whitespace().collect();
    let foreign = ["std", "core"].iter().any(|root| {
        squeezed.contains(&format!("{root}::sync::atomic"))
            || squeezed.split(&format!("{root}::sync::{{")).skip(1).any(|group| {
                let group = group.split('}').next().unwrap_or_default();
                group.split(',').any(|item| item.starts_with("atomic"))
            })
    });
    let line = lines_with(code, "atomic").first().copied().unwrap_or(1);
    foreign.then(|| finding(format!("{path}:{line}"), "atomics come from bolt_sync, so that loom sees them"))
}

/// Each file begins with what it owns.
fn header(path: &str, text: &str) -> Option<Finding> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let front_page = path.ends_with("lib.rs") && first.starts_with("#![doc = include_str!(");
    if first.starts_with("//! ") || front_page {
        return None;
    }
    Some(finding(path, "begins with no `//!` header: what it owns, what it never does, its limits"))
}

fn words(path: &str, text: &str) -> Vec<Finding> {
    let lower = text.to_lowercase();
    let mut findings = Vec::new();
    for &(word, why) in FORBIDDEN {
        let all_capitals = word.chars().all(|c| c.is_uppercase() || c == ':');
        let (hay, needle) =
            if all_capitals { (text, word.to_owned()) } else { (lower.as_str(), word.to_lowercase()) };
        let whole =
            |line: &str| line.match_indices(&needle).any(|(at, _)| stands_alone(line, at, needle.len()));
        if let Some(line) = hay.lines().position(whole) {
            findings.push(finding(format!("{path}:{}", line + 1), format!("`{word}`: {why}")));
        }
    }
    findings
}

/// True unless a letter touches a letter of the word at `at`.
fn stands_alone(line: &str, at: usize, length: usize) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (before, rest) = line.split_at(at);
    let (word, after) = rest.split_at(length);
    let joined_left = before.ends_with(is_word) && word.starts_with(is_word);
    let joined_right = word.ends_with(is_word) && after.starts_with(is_word);
    !joined_left && !joined_right
}

/// Links to files of the tree lead somewhere.
fn links(path: &str, text: &str, root: &Path) -> Vec<Finding> {
    let here = root.join(path);
    let here = here.parent().unwrap_or(root);
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            let Some(end) = rest.find(')') else { continue };
            let target = rest[..end].split('#').next().unwrap_or_default();
            let foreign = target.is_empty()
                || target.contains("://")
                || target.contains("::")
                || target.starts_with("mailto:");
            let looks_like_file = target.contains('/') || target.contains('.');
            if !foreign && looks_like_file && !here.join(target).exists() {
                findings.push(finding(
                    format!("{path}:{}", number + 1),
                    format!("the link to {target} leads nowhere"),
                ));
            }
        }
    }
    findings
}

/// Every page of `docs/` is mounted (its code blocks then run), and every published crate has a page.
fn pages(packages: &[Package], files: &Tree) -> Vec<Finding> {
    let mounts = files.get("docs/lib.rs").unwrap_or_default();
    let mut findings = Vec::new();
    for (path, _) in files.under("docs").filter(|(path, _)| path.ends_with(".md")) {
        let inside = &path["docs/".len()..];
        if !mounts.contains(&format!("include_str!(\"{inside}\")")) {
            let what = format!("{inside} is not mounted: #[doc = include_str!(\"{inside}\")] pub mod …");
            findings.push(finding("docs/lib.rs", what));
        }
    }
    for package in packages.iter().filter(|package| package.published) {
        if files.get(&format!("docs/{}.md", package.name)).is_none() {
            findings.push(finding("docs", format!("has no page {}.md", package.name)));
        }
    }
    findings
}

/// The text files of the tree, by path with forward slashes, sorted.
struct Tree {
    files: Vec<(String, String)>,
}

impl Tree {
    /// Reads what belongs to the project: no build output, no version control, no fuzz findings.
    fn read(root: &Path) -> Result<Self, String> {
        let mut files = Vec::new();
        let mut open = vec![root.to_owned()];
        while let Some(directory) = open.pop() {
            let entries =
                std::fs::read_dir(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
            for entry in entries {
                let entry = entry.map_err(|error| error.to_string())?;
                let path = entry.path();
                let name = entry.file_name();
                let inside = slashes(path.strip_prefix(root).unwrap_or(&path));
                if path.is_dir() {
                    let skipped =
                        ["fuzz/corpus", "fuzz/artifacts", "fuzz/coverage"].contains(&inside.as_str());
                    if !skipped && name != "target" && name != ".git" && !path.join("CACHEDIR.TAG").exists() {
                        open.push(path);
                    }
                } else if is_text(&path) && name != "Cargo.lock" {
                    let bytes = std::fs::read(&path).map_err(|error| format!("{inside}: {error}"))?;
                    files.push((inside, String::from_utf8_lossy(&bytes).into_owned()));
                }
            }
        }
        files.sort();
        Ok(Self { files })
    }

    fn get(&self, path: &str) -> Option<&str> {
        let at = self.files.binary_search_by(|(name, _)| name.as_str().cmp(path)).ok()?;
        Some(&self.files[at].1)
    }

    fn under<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let inside = move |path: &str| path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
        self.files
            .iter()
            .filter(move |(path, _)| inside(path))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

fn is_text(path: &Path) -> bool {
    let known = ["rs", "toml", "md", "yml", "yaml", "sh", "json", "txt", "xml", "py", "ini", "cypher"];
    let names = ["LICENSE-MIT", "LICENSE-APACHE", "run", ".gitignore"];
    let extension = path.extension().and_then(|extension| extension.to_str());
    let name = path.file_name().and_then(|name| name.to_str());
    extension.is_some_and(|extension| known.contains(&extension))
        || name.is_some_and(|name| names.contains(&name))
}

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

fn slashes(path: &Path) -> String {
    let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

/// True when `line` stands in each table called `header` of a manifest, and there is at least one.
fn table_has(manifest: &str, header: &str, line: &str) -> bool {
    let squeeze =
        |text: &str| text.split('#').next().unwrap_or_default().split_whitespace().collect::<String>();
    let wanted = squeeze(line);
    let mut tables = Vec::new();
    let mut inside = false;
    for text in manifest.lines() {
        let text = text.trim();
        if text.starts_with('[') {
            inside = squeeze(text) == header;
            if inside {
                tables.push(false);
            }
        } else if inside && squeeze(text) == wanted {
            *tables.last_mut().expect("a table is open") = true;
        }
    }
    !tables.is_empty() && tables.into_iter().all(|found| found)
}

/// True for the crates that ThreadSanitizer runs over: those that ask for it, and those with atomics to model, unless the compiler itself
/// forbids them unsafe code and with it data races.
pub(crate) fn has_threads(package: &Package) -> bool {
    package.published && (package.tsan || (has_models(package) && !forbids_unsafe(package)))
}

fn has_models(package: &Package) -> bool {
    package.tests.iter().any(|test| test == "loom")
}

fn forbids_unsafe(package: &Package) -> bool {
    FORBID_UNSAFE.contains(&package.name.as_str())
}

/// True for the crates that miri and AddressSanitizer run over: those with unsafe code, and those with atomics to model that could have some.
pub(crate) fn wants_a_judge(package: &Package) -> bool {
    let models = has_models(package) && !forbids_unsafe(package);
    package.published && (!package.unsafe_files.is_empty() || models)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    #[test]
    fn a_crate_with_models_or_the_key_has_threads() {
        let package = |tests: &[&str], tsan, published| Package {
            tests: tests.iter().map(|&test| test.to_owned()).collect(),
            tsan,
            published,
            ..Package::default()
        };
        assert!(has_threads(&package(&["it", "loom"], false, true)));
        assert!(has_threads(&package(&["it"], true, true)));
        assert!(!has_threads(&package(&["it"], false, true)));
        assert!(!has_threads(&package(&["loom"], true, false)));
    }

    fn package(name: &str, dependencies: &[(&str, Kind)]) -> Package {
        let dependency =
            |&(name, kind): &(&str, Kind)| Dependency { name: name.into(), kind, ..Dependency::default() };
        let dependencies = dependencies.iter().map(dependency).collect();
        Package { name: name.into(), published: true, library: true, dependencies, ..Package::default() }
    }

    /// The edges of `name` in a workspace that has all members, as places and words.
    fn findings_of(name: &str, dependencies: &[(&str, Kind)]) -> Vec<String> {
        let mut packages: Vec<Package> =
            LAYERS.iter().flat_map(|layer| layer.iter()).map(|other| package(other, &[])).collect();
        packages.retain(|package| package.name != name);
        packages.push(package(name, dependencies));
        layering(&packages).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn the_tree_is_tidy() {
        let context = Context::new().expect("built inside the workspace");
        let (findings, _, files) = check_tree(&context).expect("the tree can be read");
        let lines: Vec<String> =
            findings.iter().map(|finding| format!("{}: {}", finding.place, finding.what)).collect();
        assert!(lines.is_empty(), "{} findings in {files} files:\n{}", lines.len(), lines.join("\n"));
    }

    #[test]
    fn edges_that_point_down_are_allowed() {
        let down = [("bolt-buf", Kind::Normal), ("bolt-arena", Kind::Normal), ("bolt-sync", Kind::Normal)];
        assert_eq!(findings_of("bolt-wire", &down), [""; 0]);
        assert_eq!(findings_of("bolt-sync", &[("bolt-alloc", Kind::Development)]), [""; 0]);
        assert_eq!(findings_of("bolt-alloc", &[("bolt-sync", Kind::Normal)]), [""; 0]);
        assert_eq!(findings_of("bolt-client", &[("bolt-server", Kind::Development)]), [""; 0]);
        assert_eq!(findings_of("xtask", &[("bolt-cli", Kind::Normal)]), [""; 0]);
    }

    #[test]
    fn every_other_edge_is_reported() {
        let sideways = findings_of("bolt-buf", &[("bolt-arena", Kind::Normal)]);
        assert_eq!(sideways, ["must not depend on bolt-arena: an arrow only points to a lower layer"]);
        for (from, to, kind) in [
            ("bolt-arena", "bolt-wire", Kind::Normal),
            ("bolt-sync", "bolt-alloc", Kind::Normal),
            ("bolt-wire", "bolt-server", Kind::Development),
            ("bolt-client", "bolt-server", Kind::Normal),
            ("bolt-server", "bolt-client", Kind::Build),
            ("bolt-client", "xtask", Kind::Development),
        ] {
            let mut packages = vec![package("xtask", &[]), package(from, &[(to, kind)]), package(to, &[])];
            packages.dedup_by(|a, b| a.name == b.name);
            assert_eq!(layering(&packages).len(), 1, "{from} -> {to} ({kind:?})");
        }
        assert_eq!(findings_of("bolt-new", &[]).len(), 1, "a crate without a layer");
    }

    #[test]
    fn test_tools_stay_in_tests() {
        assert_eq!(findings_of("bolt-buf", &[("proptest", Kind::Normal)]).len(), 1);
        assert_eq!(findings_of("bolt-buf", &[("proptest", Kind::Development)]), [""; 0]);
        assert_eq!(findings_of("bolt-buf", &[("loom", Kind::Normal)]).len(), 1);
        let mut behind_a_cfg = package("bolt-buf", &[("loom", Kind::Normal)]);
        behind_a_cfg.dependencies[0].conditional = true;
        assert_eq!(layering(&[behind_a_cfg]), []);
    }

    #[test]
    fn unsafe_stands_in_listed_and_marked_files_only() {
        let mut package = package("bolt-buf", &[]);
        package.unsafe_files = vec!["src/raw.rs".into()];
        let marked = format!("//! Raw. {UNSAFE_MARK}\nunsafe fn f() {{}}\n");
        let check = |inside: &str, text: &str| unsafe_in_its_files(&package, inside, inside, text);
        assert_eq!(check("src/raw.rs", &marked), None);
        assert_eq!(check("src/lib.rs", "//! No unsafe here.\nfn f() { \"unsafe\"; }"), None);
        let stray = check("src/lib.rs", "//! x\n\nfn f() { unsafe { g() } }").expect("must be reported");
        assert_eq!(stray.place, "src/lib.rs:3");
        assert!(check("tests/it/main.rs", "unsafe {}").is_some(), "tests count too");
        assert_eq!(check("tests/loom.rs", "unsafe {}"), None);
        assert!(check("src/raw.rs", "//! x\nunsafe fn f() {}").is_some(), "the mark is missing");
        assert!(check("src/raw.rs", &format!("//! {UNSAFE_MARK}\nfn f() {{}}")).is_some(), "listed in vain");
        assert!(check("src/lib.rs", &format!("//! {UNSAFE_MARK}\nfn f() {{}}")).is_some(), "marked in vain");
    }

    #[test]
    fn atomics_come_from_bolt_sync() {
        let arena = package("bolt-arena", &[]);
        let check =
            |text: &str| atomics(&arena, "src/lib.rs", "src/lib.rs", text).map(|finding| finding.place);
        assert_eq!(check("use bolt_sync::atomic::AtomicU64;"), None);
        assert_eq!(check("//! x\nuse std::sync::atomic::AtomicU64;").as_deref(), Some("src/lib.rs:2"));
        assert!(check("use core::sync::{Arc, atomic::AtomicU64};").is_some());
        assert!(check("use std::sync::{\n    atomic::{AtomicU64, Ordering},\n};").is_some());
        assert_eq!(check("use std::sync::{Arc, Mutex};"), None);
        assert_eq!(check("#[cfg(test)]\nmod tests { use std::sync::atomic::AtomicU64; }"), None);
        let text = "use std::sync::atomic::AtomicU64;";
        assert_eq!(atomics(&package("bolt-sync", &[]), "src/lib.rs", "x", text), None);
    }

    #[test]
    fn headers_are_asked_for() {
        assert_eq!(header("src/x.rs", "//! Owns x.\n"), None);
        assert_eq!(header("src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n"), None);
        assert!(header("src/x.rs", "#![doc = include_str!(\"../README.md\")]\n").is_some());
        assert!(header("src/x.rs", "use std::fmt;\n//! late\n").is_some());
    }

    #[test]
    fn forbidden_words_are_found_where_they_stand_alone() {
        let found =
            |text: &str| words("x.md", text).into_iter().map(|finding| finding.place).collect::<Vec<_>>();
        assert_eq!(found(&format!("fine\n{} later", concat!("TO", "DO"))), ["x.md:2"]);
        assert_eq!(found(concat!("good For", " Now, then")), ["x.md:1"]);
        assert_eq!(found("wait for nowhere; a todo in lower case; mastodon; TODOS"), [""; 0]);
        assert_eq!(found(concat!("see /wo", "rk/x")), ["x.md:1"]);
    }

    #[test]
    fn links_lead_somewhere() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(links("x.md", "[a](src/main.rs) [b](https://x.y/z) [c](#d) [e](crate::f)", root), []);
        assert_eq!(links("x.md", "\n[a](src/none.rs#part)", root)[0].place, "x.md:2");
        assert_eq!(links("src/x.md", "[a](main.rs)", root), []);
    }

    #[test]
    fn manifest_lines_are_found_in_their_table() {
        let manifest =
            "[lib]\nbench=false # why\n\n[[bin]]\nname = \"a\"\nbench = false\n[[bin]]\nname = \"b\"\n";
        assert!(table_has(manifest, "[lib]", "bench = false"));
        assert!(!table_has(manifest, "[[bin]]", "bench = false"), "the second one lacks it");
        assert!(!table_has(manifest, "[lints]", "workspace = true"), "no such table");
    }

    #[test]
    fn pages_are_mounted_and_complete() {
        let tree = |files: &[(&str, &str)]| Tree {
            files: files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect(),
        };
        let mounted = ("docs/lib.rs", "#[doc = include_str!(\"bolt-buf.md\")] pub mod bolt_buf {}");
        let packages = [package("bolt-buf", &[])];
        assert_eq!(pages(&packages, &tree(&[("docs/bolt-buf.md", "x"), mounted])), []);
        assert_eq!(pages(&packages, &tree(&[("docs/bolt-buf.md", "x"), ("docs/lib.rs", "")])).len(), 1);
        assert_eq!(pages(&packages, &tree(&[mounted])).len(), 1, "the page itself is missing");
    }
}
