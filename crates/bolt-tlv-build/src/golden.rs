//! The generated code in `tests/golden` is what the schemas in `tests/schemas` become today, and is laid out as rustfmt lays it out.
//!
//! Owns the command that renews it: `BOLT_TLV_RENEW=1 cargo test -p bolt-tlv-build --lib golden`. The tests stand in the library, since the integration
//! tests are compiled from what is renewed here.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Config;

const RENEW: &str = "BOLT_TLV_RENEW";

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn generated(schema: &Path) -> String {
    let mut config = Config::new(schema);
    let services = schema.with_extension("toml");
    if services.exists() {
        config = config.services(services);
    }
    config.generate_code().unwrap_or_else(|error| panic!("{error}"))
}

fn is_current(name: &str) {
    let path = tests().join("golden").join(format!("{name}.rs.txt"));
    let code = generated(&tests().join("schemas").join(format!("{name}.yaml")));
    if std::env::var_os(RENEW).is_some() {
        std::fs::write(&path, &code).expect("the tree is writable");
        return;
    }
    let present = std::fs::read_to_string(&path).expect("the golden file is there").replace("\r\n", "\n");
    is_same(&path, &present, &code, "renew it: BOLT_TLV_RENEW=1 cargo test -p bolt-tlv-build --lib golden");
}

fn is_same(path: &Path, old: &str, new: &str, help: &str) {
    if let Some(line) = old.lines().zip(new.lines()).position(|(old, new)| old != new) {
        let (number, path) = (line + 1, path.display());
        let (old, new) = (old.lines().nth(line), new.lines().nth(line));
        panic!("{path}:{number}:\n- {old:?}\n+ {new:?}\n{help}");
    }
    assert_eq!(old.len(), new.len(), "{}: {help}", path.display());
}

#[test]
fn the_golden_files_are_current() {
    for name in ["source", "everything", "first"] {
        is_current(name);
    }
}

#[test]
fn generated_code_is_laid_out_as_rustfmt_does() {
    let project = tests().join("project").join("schemas");
    let mut seen = 0;
    for directory in [tests().join("schemas"), project] {
        for entry in std::fs::read_dir(&directory).expect("the schemas are there") {
            let path = entry.expect("is readable").path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let Some(laid_out) = rustfmt(&generated(&path)) else {
                eprintln!("skipped: there is no rustfmt");
                return;
            };
            is_same(&path, &laid_out, &generated(&path), "rustfmt lays it out otherwise");
            seen += 1;
        }
    }
    assert!(seen >= 15, "{seen} schemas");
}

/// What rustfmt makes of this code; none where there is no rustfmt.
fn rustfmt(code: &str) -> Option<String> {
    // Outside of the tree, where no rustfmt.toml speaks for this workspace: rustfmt's own widths. It reads all before it writes, so
    // neither side waits for the other. (With `--check` it would say nothing by its status: that is for files.)
    let mut command = Command::new("rustfmt");
    command.args(["--edition", "2021"]).current_dir(std::env::temp_dir());
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.ok()?;
    child.stdin.take().expect("it is piped").write_all(code.as_bytes()).expect("rustfmt reads");
    let output = child.wait_with_output().expect("rustfmt ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
