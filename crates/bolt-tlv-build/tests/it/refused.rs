//! Every kind of file that is refused, and what is said about it: `tests/refused/NAME.yaml`, with `NAME.toml` where it is about services, and
//! the whole error in `NAME.expected`; and that the compiler says it too, as it refuses what is in `tests/misuse`.
//!
//! Owns the command that renews what is expected: `BOLT_TLV_RENEW=1 cargo test -p bolt-tlv-build refused`. Read the difference before committing
//! it. Of the compiler's answer only our own lines, the code of the error and its line are compared: the rest changes with the compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

use bolt_tlv_build::Config;

/// Where the cases are put together that the compiler is to refuse.
const COMPILED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/refused");

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("refused")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .replace("\r\n", "\n")
}

/// A case: its name, the answer to it, and the same answer as code.
struct Case {
    name: String,
    expected: PathBuf,
    error: String,
    code: String,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(directory()).expect("the cases are there") {
        let path = entry.expect("is readable").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let name = path.file_stem().and_then(|name| name.to_str()).expect("cases have plain names");
        let mut config = Config::from_text(read(&path));
        let services = path.with_extension("toml");
        if services.exists() {
            config = config.services_text(read(&services));
        }
        let error = config.generate_code().expect_err(&path.display().to_string());
        assert_eq!(format!("{error:?}"), format!("\n{error}"), "a build script's main prints it as it is");
        cases.push(Case {
            name: name.to_owned(),
            expected: path.with_extension("expected"),
            error: format!("{error}\n"),
            code: config.generate_code_or_compile_error(),
        });
    }
    assert!(cases.len() >= 20, "{} cases", cases.len());
    cases
}

#[test]
fn every_mistake_is_told_with_its_line_and_what_was_expected() {
    for case in cases() {
        if std::env::var_os("BOLT_TLV_RENEW").is_some() {
            std::fs::write(&case.expected, &case.error).expect("the tree is writable");
        } else {
            assert_eq!(case.error, read(&case.expected), "{}", case.name);
        }
    }
}

/// trybuild compiles; what it is told to write down is what is looked at here, so that the words of one compiler bind no other.
#[test]
fn the_compiler_says_so_too_and_refuses_what_is_used_wrongly() {
    let compiled = Path::new(COMPILED);
    let written = |path: &Path, text: &str| {
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("the directory is writable");
        std::fs::write(path, text).expect("the directory is writable");
    };
    if compiled.exists() {
        std::fs::remove_dir_all(compiled).expect("it is ours");
    }
    let refused = cases();
    for case in &refused {
        let code = format!("{}\nfn main() {{}}\n", case.code);
        written(&compiled.join("cases").join(&case.name).with_extension("rs"), &code);
    }
    let mut misused = Vec::new();
    for entry in std::fs::read_dir(directory().with_file_name("misuse")).expect("the cases are there") {
        let path = entry.expect("is readable").path();
        let text = read(&path);
        let file_name = path.file_name().expect("it is a file").to_owned();
        written(&compiled.join("cases").join(&file_name), &text);
        misused.push((file_name, text));
    }
    let golden = directory().with_file_name("golden");
    for name in ["source.rs.txt", "first.rs.txt"] {
        written(&compiled.join("golden").join(name), &read(&golden.join(name)));
    }
    let mut child = Command::new(std::env::current_exe().expect("this test"));
    child.args([
        "--exact",
        "refused::for_another_test_trybuild_writes_down_what_the_compiler_says",
        "--ignored",
    ]);
    let output = child.env("TRYBUILD", "overwrite").output().expect("this test runs again");
    let said = |name: &Path| {
        let path = compiled.join("cases").join(name).with_extension("stderr");
        std::fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}\n{}", path.display(), String::from_utf8_lossy(&output.stdout))
        })
    };
    for case in &refused {
        let said = said(Path::new(&case.name));
        // The compiler indents, and shows a tab as blanks.
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut lines = said.lines().map(words);
        for line in case.error.lines().map(words) {
            assert!(
                lines.any(|said| said == line),
                "{}: the compiler does not say `{line}`:\n{said}",
                case.name
            );
        }
    }
    for (name, text) in &misused {
        let said = said(Path::new(name));
        let mark = |(index, line): (usize, &str)| Some((index + 1, line.split_once("//~ ")?.1.to_owned()));
        let (line, code) = text.lines().enumerate().find_map(mark).expect("a line is marked");
        let place = format!("{}:{line}:", name.display());
        assert!(said.contains(&format!("error[{code}]")) && said.contains(&place), "{said}");
    }
}

#[test]
#[ignore = "the test above runs it, with TRYBUILD=overwrite"]
fn for_another_test_trybuild_writes_down_what_the_compiler_says() {
    trybuild::TestCases::new().compile_fail(Path::new(COMPILED).join("cases").join("*.rs"));
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
fn other_line_ends_and_a_byte_order_mark_change_no_line() {
    let schema = "messages:\n  - {name: Ping, fields: [{name: at, type: u64}]}\n";
    let services = "[service.adapter]\nmessages = [\"Ping\"]\n";
    let others = |text: &str| format!("\u{FEFF}{}", text.replace('\n', "\r\n"));
    let generated = |schema: &str, services: &str| {
        Config::from_text(schema).services_text(services).service("adapter").generate_code()
    };
    assert_eq!(generated(&others(schema), &others(services)), generated(schema, services));
    for (schema, services, expected) in [
        (schema.replace("u64", "u46"), services.to_owned(), "contracts.yaml:2:44: unknown type `u46`"),
        (schema.to_owned(), services.replace("Ping", "Pong"), "config.toml:2:13: unknown message `Pong`"),
        (schema.to_owned(), String::new(), "config.toml:1:1: there is no service `adapter`"),
        (String::new(), services.to_owned(), "contracts.yaml:1:1: "),
    ] {
        for (schema, services) in [(schema.clone(), services.clone()), (others(&schema), others(&services))] {
            let error = generated(&schema, &services).expect_err(expected).to_string();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains('\r') && !error.contains('\u{FEFF}'), "{error:?}");
        }
    }
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
    let schema = "messages:\n  - {name: A, fields: []}\n";
    for (services, expected) in
        [("no/such.toml", "no/such.toml: cannot be read: "), (".", ".: cannot be read: ")]
    {
        let config = Config::from_text(schema).services(services);
        let error = config.generate_code().expect_err("it is no file").to_string();
        assert!(error.starts_with(expected) && error.contains("expected a file there"), "{error}");
    }
    let error =
        Config::from_text("messages:\n  - {name: A, fields: []}\n").generate().expect_err("no OUT_DIR");
    assert!(error.to_string().contains("generate_code"), "{error}");
}

#[test]
fn problems_can_be_shown_by_the_compiler_instead() {
    let code = Config::from_text("messages: 1\n").generate_code_or_compile_error();
    assert!(code.starts_with("compile_error! { \"\\ncontracts.yaml:1:11: "), "{code}");
}
