//! `cargo xtask alone [crate]`: each library by itself, as somebody who adds just that one would meet it.
//!
//! Owns three proofs a library: it checks and passes its tests with no, default and all features; it builds for a
//! bare-metal target where its manifest promises `no-std`, as does what it generates in an unpublished member's build script; and a scratch project outside the workspace builds it from
//! its packaged tarball and runs the examples of its README; where the README shows the files of a whole program, that program is built
//! and run too. Limits: one version of each dependency, the one Cargo
//! picks today; features that build C need `make`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::run::{Context, Outcome, Run, StageResult};
use crate::tools;
use crate::workspace::{self, Kind, Package};

/// Cortex-M4: 32-bit, no operating system, no `std`.
const BARE_METAL: &str = "thumbv7em-none-eabi";

const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// `cargo xtask alone [crate]`.
pub(crate) fn run(context: &Context, arguments: &[String]) -> StageResult {
    let all = workspace::load(context)?;
    let libraries =
        workspace::select(all.clone(), arguments, |package| package.published && package.library)?;
    let bare = on_bare_metal(&all, &libraries);
    let bare_metal = !bare.is_empty() && {
        let had = tools::target(context, BARE_METAL);
        if let Err(reason) = &had {
            context.skip(format!("no_std on {BARE_METAL}: {reason}"));
        }
        had.is_ok()
    };
    let mut failed = Vec::new();
    let mut judge = |what: String, result: Result<(), String>| {
        if let Err(reason) = result {
            println!("{what}: {reason}");
            failed.push(what);
        }
    };
    for package in &libraries {
        for features in feature_sets(package) {
            let cargo = |word: &str| {
                context.cargo().args([word, "--package", &package.name]).args(features).deadline(DEADLINE)
            };
            let shown = features.unwrap_or("default features");
            // The check apart from the tests: development dependencies can lend a feature the library forgot.
            judge(format!("{} check, {shown}", package.name), cargo("check").go());
            judge(format!("{} test, {shown}", package.name), cargo("test").go());
        }
    }
    for package in bare.iter().filter(|_| bare_metal) {
        let check = context
            .cargo()
            .args(["check", "--package", &package.name, "--no-default-features", "--target", BARE_METAL])
            .env("CARGO_TARGET_DIR", context.flavour("targets"));
        judge(format!("{} no_std", package.name), check.go());
    }
    judge("packaged tarballs".to_owned(), tarballs(context, &all, &libraries));
    if failed.is_empty() { Ok(Outcome::Passed) } else { Err(format!("failed: {}", failed.join("; "))) }
}

/// What must build without an operating system: libraries that promise it, and members that promise it for code which a library generates
/// in their build scripts.
fn on_bare_metal<'p>(all: &'p [Package], libraries: &'p [Package]) -> Vec<&'p Package> {
    let generated = all.iter().filter(|package| {
        let builds = |name: &str| libraries.iter().any(|library| library.name == name);
        let dependencies = &package.dependencies;
        !package.published
            && dependencies
                .iter()
                .any(|dependency| dependency.kind == Kind::Build && builds(&dependency.name))
    });
    libraries.iter().chain(generated).filter(|package| package.no_std).collect()
}

/// None, default and all features, each once: a crate without features has a single set.
fn feature_sets(package: &Package) -> Vec<Option<&'static str>> {
    let default = package.features.iter().any(|feature| feature == "default");
    let more = package.features.iter().any(|feature| feature != "default");
    let mut sets = vec![None];
    if default {
        sets.push(Some("--no-default-features"));
    }
    if more && tools::has_c_and_make() {
        sets.push(Some("--all-features"));
    }
    sets
}

/// Packages the libraries, unpacks the tarballs, and builds one scratch project a library against them.
fn tarballs(context: &Context, all: &[Package], libraries: &[Package]) -> Result<(), String> {
    let published: Vec<&Package> =
        all.iter().filter(|package| package.published && package.library).collect();
    let target = context.flavour("alone");
    context
        .cargo()
        .args(["package", "--no-verify", "--allow-dirty", "--quiet"])
        .args(published.iter().flat_map(|package| ["--package", package.name.as_str()]))
        .env("CARGO_TARGET_DIR", &target)
        .go()?;
    let scratch = Scratch::new()?;
    let crates = scratch.path.join("crates");
    std::fs::create_dir_all(&crates).map_err(|error| format!("{}: {error}", crates.display()))?;
    for package in &published {
        let tarball = target.join("package").join(format!("{}-{}.crate", package.name, package.version));
        Run::new("tar", &crates).arg("-xzf").arg(&tarball).quiet().go()?;
    }
    let mut members = Vec::new();
    let mut patches = String::new();
    for package in &published {
        let folder = format!("{}-{}", package.name, package.version);
        patches += &format!("{} = {{ path = \"crates/{folder}\" }}\n", package.name);
    }
    for package in libraries {
        let user = scratch.path.join(format!("use-{}", package.name));
        let identifier = package.name.replace('-', "_");
        let readme = format!("../../crates/{}-{}/README.md", package.name, package.version);
        let manifest = format!(
            "[package]\nname = \"use-{0}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{0} = \"{1}\"\n",
            package.name, package.version
        );
        let code = format!("#![doc = include_str!(\"{readme}\")]\npub use {identifier} as the_crate;\n");
        write(&user.join("Cargo.toml"), &manifest)?;
        write(&user.join("src").join("lib.rs"), &code)?;
        members.push(format!("\"use-{}\"", package.name));
    }
    let mut programs = Vec::new();
    for package in libraries {
        let readme = package.directory.join("README.md");
        let readme =
            std::fs::read_to_string(&readme).map_err(|error| format!("{}: {error}", readme.display()))?;
        let files = program_files(&readme);
        if !files.iter().any(|(path, _)| path == "src/main.rs") {
            continue;
        }
        let name = format!("program-{}", package.name);
        for (path, text) in &files {
            let head = format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n");
            let text = if path == "Cargo.toml" { head + text } else { text.clone() };
            write(&scratch.path.join(&name).join(path), &text)?;
        }
        members.push(format!("\"{name}\""));
        programs.push((package.name.as_str(), name));
    }
    let root = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{}]\nexclude = [\"crates\"]\n\n[patch.crates-io]\n{patches}",
        members.join(", ")
    );
    write(&scratch.path.join("Cargo.toml"), &root)?;
    let mut failed = Vec::new();
    for package in libraries {
        let user = format!("use-{}", package.name);
        let cargo = |word: &str| {
            let mut run = Run::new("cargo", &scratch.path).args([word, "--package", &user]);
            run = run.env("CARGO_TARGET_DIR", &target).deadline(DEADLINE);
            run
        };
        if let Err(reason) = cargo("build").go().and_then(|()| cargo("test").arg("--doc").go()) {
            println!("{} from its tarball: {reason}", package.name);
            failed.push(package.name.as_str());
        }
    }
    for (package, program) in &programs {
        let run = Run::new("cargo", &scratch.path).args(["run", "--package", program]);
        if let Err(reason) = run.env("CARGO_TARGET_DIR", &target).deadline(DEADLINE).go() {
            println!("the program in the README of {package}: {reason}");
            failed.push(package);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

/// The files of a program that a README shows: code blocks whose first line is a comment with nothing but the file's path.
fn program_files(readme: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("```") {
            continue;
        }
        let block: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
        let path =
            block.first().and_then(|first| first.strip_prefix("# ").or_else(|| first.strip_prefix("// ")));
        let is_path = |path: &&str| path.contains('.') && !path.contains(' ');
        if let Some(path) = path.filter(is_path) {
            files.push((path.to_owned(), block.join("\n") + "\n"));
        }
    }
    files
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let directory = path.parent().ok_or("a file has a directory")?;
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// A directory outside the workspace, removed on drop.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("boltstack-alone-{}", std::process::id()));
        if path.exists() {
            std::fs::remove_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    #[test]
    fn the_files_of_a_program_are_found_in_a_readme() {
        let readme = "A\n```toml\n# Cargo.toml\n[dependencies]\n```\n```rust\nlet x = 1;\n```\n```rust\n// src/main.rs\nfn main() {}\n```\n\
                      ```sh\n# run it. Then stop\n```\n";
        let files = program_files(readme);
        let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["Cargo.toml", "src/main.rs"]);
        assert_eq!(files[1].1, "// src/main.rs\nfn main() {}\n");
    }

    #[test]
    fn generated_code_goes_to_bare_metal_with_its_generator() {
        let package = |name: &str, published, no_std, kind| Package {
            name: name.to_owned(),
            published,
            no_std,
            dependencies: vec![Dependency { name: "generator".to_owned(), kind, ..Dependency::default() }],
            ..Package::default()
        };
        let all = [
            package("generator", true, false, Kind::Normal),
            package("small", true, true, Kind::Normal),
            package("generated", false, true, Kind::Build),
            package("hosted", false, false, Kind::Build),
            package("tests", false, true, Kind::Development),
        ];
        let names = |libraries: &[Package]| -> Vec<String> {
            on_bare_metal(&all, libraries).iter().map(|package| package.name.clone()).collect()
        };
        assert_eq!(names(&all[..2]), ["small", "generated"]);
        assert_eq!(names(&all[..1]), ["generated"]);
        assert_eq!(names(&all[1..2]), ["small"]);
    }

    #[test]
    fn each_feature_set_is_tried_once() {
        let with = |features: &[&str]| Package {
            features: features.iter().map(|&feature| feature.to_owned()).collect(),
            ..Package::default()
        };
        assert_eq!(feature_sets(&with(&[])), [None]);
        assert!(feature_sets(&with(&["default", "std"])).contains(&Some("--no-default-features")));
        assert!(!feature_sets(&with(&["serde"])).contains(&Some("--no-default-features")));
    }
}
