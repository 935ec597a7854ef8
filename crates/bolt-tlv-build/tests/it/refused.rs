//! Every kind of file that is refused, and what is said about it: `tests/refused/NAME.yaml`, with `NAME.toml` where it is about services, and
//! the whole error in `NAME.expected`.
//!
//! Owns the command that renews them: `BOLT_TLV_RENEW=1 TRYBUILD=overwrite cargo test -p bolt-tlv-build refused`. Read the difference before
//! committing it.

use std::path::{Path, PathBuf};

use bolt_tlv_build::Config;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("refused")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .replace("\r\n", "\n")
}

#[test]
fn every_mistake_is_told_with_its_line_and_what_was_expected() {
    let renew = std::env::var_os("BOLT_TLV_RENEW").is_some();
    let mut seen = 0;
    for entry in std::fs::read_dir(directory()).expect("the cases are there") {
        let path = entry.expect("is readable").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        seen += 1;
        let name = path.file_stem().and_then(|name| name.to_str()).expect("cases have plain names");
        let mut config = Config::from_text(read(&path));
        let services = path.with_extension("toml");
        if services.exists() {
            config = config.services_text(read(&services));
        }
        let error = config.generate_code().expect_err(&path.display().to_string());
        let text = format!("{error}\n");
        assert_eq!(format!("{error:?}"), format!("\n{error}"), "a build script's main prints it as it is");
        let expected = path.with_extension("expected");
        let shown = directory().with_file_name("ui").join("refused").join(name).with_extension("rs");
        let code = format!(
            "//! `tests/refused/{name}` as the compiler shows it.\n\n{}\nfn main() {{}}\n",
            config.generate_code_or_compile_error()
        );
        if renew {
            std::fs::write(&expected, &text).expect("the tree is writable");
            std::fs::write(&shown, &code).expect("the tree is writable");
        } else {
            assert_eq!(text, read(&expected), "{}", path.display());
            assert_eq!(code, read(&shown), "{}", shown.display());
        }
    }
    assert!(seen >= 20, "{seen} cases");
    // The compiler's own words, for these files and for generated code that is used wrongly. Here, since renewing writes what it compiles.
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/refused/*.rs");
    cases.compile_fail("tests/ui/misuse/*.rs");
}

#[test]
fn a_service_that_must_be_there_is_missed() {
    let schema = "messages:\n  - name: Ping\n    fields: []\n";
    let services = "[service.adapter]\nmessages = [\"Ping\"]\n";
    let config = Config::from_text(schema).services_text(services);
    assert!(config.clone().service("adapter").generate_code().is_ok());
    let error = config.service("adaptor").generate_code().expect_err("there is none").to_string();
    assert!(error.starts_with("config.toml:1:1: there is no service `adaptor`"), "{error}");
    assert!(error.contains("did you mean `adapter`?"), "{error}");
    let error = Config::from_text(schema).service("a").generate_code().expect_err("no file").to_string();
    assert!(error.contains("no file names the service `a`"), "{error}");
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let error = Config::new("no/such.yaml").generate_code().expect_err("it is missing").to_string();
    assert!(error.starts_with("no/such.yaml: cannot be read: "), "{error}");
    let path = std::env::temp_dir().join(format!("bolt-tlv-build-{}.yaml", std::process::id()));
    std::fs::write(&path, b"messages:\n  - name: \xFF\n").expect("the directory is writable");
    let error = Config::new(&path).generate_code().expect_err("it is not UTF-8").to_string();
    std::fs::remove_file(&path).expect("it is ours");
    assert!(error.contains("is not UTF-8 from byte 20 on"), "{error}");
    let error =
        Config::from_text("messages:\n  - {name: A, fields: []}\n").generate().expect_err("no OUT_DIR");
    assert!(error.to_string().contains("generate_code"), "{error}");
}

#[test]
fn problems_can_be_shown_by_the_compiler_instead() {
    let code = Config::from_text("messages: 1\n").generate_code_or_compile_error();
    assert!(code.starts_with("compile_error! { \"\\ncontracts.yaml:1:11: "), "{code}");
}
