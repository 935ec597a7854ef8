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

fn generated(name: &str) -> String {
    let schemas = tests().join("schemas");
    let mut config = Config::new(schemas.join(format!("{name}.yaml")));
    let services = schemas.join(format!("{name}.toml"));
    if services.exists() {
        config = config.services(services);
    }
    config.generate_code().unwrap_or_else(|error| panic!("{error}"))
}

fn is_current(name: &str) {
    let path = tests().join("golden").join(format!("{name}.rs.txt"));
    let code = generated(name);
    if std::env::var_os(RENEW).is_some() {
        std::fs::write(&path, &code).expect("the tree is writable");
        return;
    }
    let present = std::fs::read_to_string(&path).expect("the golden file is there").replace("\r\n", "\n");
    if let Some(line) = present.lines().zip(code.lines()).position(|(old, new)| old != new) {
        let number = line + 1;
        let (old, new) = (present.lines().nth(line), code.lines().nth(line));
        panic!(
            "{}:{number} is stale:\n- {old:?}\n+ {new:?}\nrenew it: {RENEW}=1 cargo test -p bolt-tlv-build --lib golden",
            path.display()
        );
    }
    assert_eq!(present.len(), code.len(), "{} is stale: renew it", path.display());
}

#[test]
fn the_golden_files_are_current() {
    for name in ["source", "everything", "first"] {
        is_current(name);
    }
}

#[test]
fn generated_code_is_laid_out_as_rustfmt_does() {
    for name in ["source", "everything", "first", "long"] {
        let code = generated(name);
        // Outside of the tree, where no rustfmt.toml speaks for this workspace: rustfmt's own widths.
        let mut rustfmt = Command::new("rustfmt");
        rustfmt.args(["--edition", "2021", "--check", "--color", "never"]).current_dir(std::env::temp_dir());
        let spawned = rustfmt.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let Ok(mut child) = spawned else {
            eprintln!("skipped: there is no rustfmt");
            return;
        };
        child.stdin.take().expect("it is piped").write_all(code.as_bytes()).expect("rustfmt reads");
        let output = child.wait_with_output().expect("rustfmt ends");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
}
