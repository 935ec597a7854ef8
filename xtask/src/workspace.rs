//! The workspace as `cargo metadata` tells it, reduced to what the checks ask for.
//!
//! Owns the parsed model; the checks in `tidy`, `alone` and others work on it as plain data, so that their tests can
//! hand them a workspace that does not exist. Never reads a manifest's text itself. Limit: one workspace, its
//! members and their declared dependencies; `deny` asks for the resolved ones on its own.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::run::Context;

/// A member of the workspace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    /// Its name, as on the command line.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// The directory of its manifest.
    pub(crate) directory: PathBuf,
    /// False where the manifest says `publish = false`.
    pub(crate) published: bool,
    /// True when it has a library.
    pub(crate) library: bool,
    /// The names of its binaries.
    pub(crate) binaries: Vec<String>,
    /// The names of its integration tests.
    pub(crate) tests: Vec<String>,
    /// The names of its features, `default` among them where there is one.
    pub(crate) features: Vec<String>,
    /// Every declared dependency.
    pub(crate) dependencies: Vec<Dependency>,
    /// `[package.metadata.boltstack] unsafe-files`, relative to the package's directory.
    pub(crate) unsafe_files: Vec<String>,
    /// `[package.metadata.boltstack] no-std`.
    pub(crate) no_std: bool,
    /// `[package.metadata.boltstack] tsan`: its tests run under ThreadSanitizer though it has no loom models.
    pub(crate) tsan: bool,
}

/// One declared dependency of a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The package's name.
    pub(crate) name: String,
    /// Normal, development or build.
    pub(crate) kind: Kind,
    /// Taken only by a feature.
    pub(crate) optional: bool,
    /// Taken only where a `cfg` or target holds.
    pub(crate) conditional: bool,
}

/// When a dependency is needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To be used.
    #[default]
    Normal,
    /// To be tested.
    Development,
    /// To be built.
    Build,
}

/// The members, by name.
pub(crate) fn load(context: &Context) -> Result<Vec<Package>, String> {
    let command = context.cargo().args(["metadata", "--format-version=1", "--no-deps"]).quiet();
    parse(&command.capture()?)
}

/// One member, or an error that lists those there are.
pub(crate) fn find<'a>(packages: &'a [Package], name: &str) -> Result<&'a Package, String> {
    packages.iter().find(|package| package.name == name).ok_or_else(|| {
        let names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        format!("no member is called `{name}`; there are {}", names.join(", "))
    })
}

/// The members a stage runs over: the one named in `arguments`, or all for which `wanted` holds.
pub(crate) fn select(
    packages: Vec<Package>,
    arguments: &[String],
    wanted: impl Fn(&Package) -> bool,
) -> Result<Vec<Package>, String> {
    match arguments {
        [] => Ok(packages.into_iter().filter(|package| wanted(package)).collect()),
        [name] => find(&packages, name).map(|package| vec![package.clone()]),
        _ => Err(format!("one crate at most, but {} were named", arguments.len())),
    }
}

pub(crate) fn parse(text: &str) -> Result<Vec<Package>, String> {
    let root: Value = serde_json::from_str(text).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = root["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let mut members = packages.iter().map(package).collect::<Result<Vec<_>, _>>()?;
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
}

fn package(value: &Value) -> Result<Package, String> {
    let manifest = PathBuf::from(text(&value["manifest_path"])?);
    let own = &value["metadata"]["boltstack"];
    let targets = |kinds: &[&str]| -> Vec<String> {
        let targets = value["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is = |target: &&Value| {
            let kind = target["kind"].as_array().map(Vec::as_slice).unwrap_or_default();
            kind.iter().any(|kind| kinds.iter().any(|wanted| kind == wanted))
        };
        targets.iter().filter(is).filter_map(|target| target["name"].as_str().map(str::to_owned)).collect()
    };
    Ok(Package {
        name: text(&value["name"])?,
        version: text(&value["version"])?,
        directory: manifest.parent().unwrap_or(Path::new("")).to_owned(),
        published: value["publish"].is_null(),
        library: !targets(&["lib", "rlib", "proc-macro"]).is_empty(),
        binaries: targets(&["bin"]),
        tests: targets(&["test"]),
        features: value["features"].as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default(),
        dependencies: array(&value["dependencies"]).iter().map(dependency).collect::<Result<_, _>>()?,
        unsafe_files: array(&own["unsafe-files"]).iter().map(text).collect::<Result<_, _>>()?,
        no_std: own["no-std"].as_bool().unwrap_or(false),
        tsan: own["tsan"].as_bool().unwrap_or(false),
    })
}

fn dependency(value: &Value) -> Result<Dependency, String> {
    let kind = match value["kind"].as_str() {
        None => Kind::Normal,
        Some("dev") => Kind::Development,
        Some("build") => Kind::Build,
        Some(other) => return Err(format!("cargo metadata: a dependency of kind `{other}`")),
    };
    let optional = value["optional"].as_bool().unwrap_or(false);
    Ok(Dependency { name: text(&value["name"])?, kind, optional, conditional: !value["target"].is_null() })
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("cargo metadata: expected text, found {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_read_as_cargo_writes_it() {
        let json = r#"{"packages": [{
            "name": "bolt-x", "version": "0.1.0", "manifest_path": "/x/crates/bolt-x/Cargo.toml", "publish": null,
            "features": {"default": ["std"], "std": []},
            "metadata": {"boltstack": {"unsafe-files": ["src/raw.rs"], "no-std": true, "tsan": true}},
            "targets": [{"name": "bolt_x", "kind": ["lib"]}, {"name": "it", "kind": ["test"]}],
            "dependencies": [
                {"name": "loom", "kind": null, "optional": false, "target": "cfg(bolt_loom)"},
                {"name": "proptest", "kind": "dev", "optional": false, "target": null}]}]}"#;
        let packages = parse(json).expect("well formed");
        let package = find(&packages, "bolt-x").expect("present");
        assert!(package.published && package.library && package.no_std && package.tsan);
        assert_eq!(package.unsafe_files, ["src/raw.rs"]);
        assert_eq!(package.features, ["default", "std"]);
        assert_eq!(package.tests, ["it"]);
        assert!(package.dependencies[0].conditional);
        assert_eq!(package.dependencies[1].kind, Kind::Development);
        let error = find(&packages, "bolt-y").expect_err("absent");
        assert!(error.contains("bolt-x"), "{error}");
    }
}
