//! What each format prints, on values of every type.

use crate::support::{Server, done};

/// The first records of `generate.mixed`: one of every type, each value a formula of its number.
const MIXED_JSON: [&str; 28] = [
    r#"null"#,
    r#"true"#,
    r#"false"#,
    r#"0"#,
    r#"0.0"#,
    r#""""#,
    r#""abcdef""#,
    r#""größe 数 🦀""#,
    r#""CAgICAgICAg=""#,
    r#"[]"#,
    r#"[10,0.5,"three",null]"#,
    r#"[[[[[[[[[[[[[[[[[[[[11]]]]]]]]]]]]]]]]]]]]"#,
    r#"{"a":12,"b":null,"":"empty key"}"#,
    r#"{"key0":0,"key1":13,"key2":26,"key3":39,"key4":52,"key5":65,"key6":78,"key7":91,"key8":104,"key9":117,"key10":130,"key11":143,"key12":156,"key13":169,"key14":182,"key15":195,"key16":208,"key17":221,"key18":234,"key19":247}"#,
    r#""1915-08-18""#,
    r#""00:00:15.000000105+01:00""#,
    r#""00:00:16.000000112""#,
    r#""1970-01-18T00:59:43.000000042+01:00""#,
    r#""1970-01-18T23:59:42.000000042Z[Africa/Nairobi]""#,
    r#""1970-01-19T23:59:41.999999999""#,
    r#""P1Y8M-20DT-0.5S""#,
    r#"{"srid":7203,"x":21.0,"y":-0.5}"#,
    r#"{"srid":4979,"x":12.5,"y":55.25,"z":22.0}"#,
    r#"{"id":23,"element_id":"4:b0172ec0-1f5e-4a3c-9d51-60605b170001:23","labels":["Person"],"properties":{"name":"Person-000023","email":"person-000023@example.org","born":1973,"score":5.75,"active":false}}"#,
    r#"{"id":24,"element_id":"5:b0172ec0-1f5e-4a3c-9d51-60605b170001:24","type":"KNOWS","start":24,"start_element_id":"4:b0172ec0-1f5e-4a3c-9d51-60605b170001:24","end":25,"end_element_id":"4:b0172ec0-1f5e-4a3c-9d51-60605b170001:25","properties":{"since":2024}}"#,
    // A path, below.
    "",
    r#"[1.0,-2.0,0.5,26.0]"#,
    r#""40d29eb5-7de1-d510-0000-00000000001b""#,
];

#[test]
fn json_of_every_type() {
    let server = Server::start(&["--generated"]);
    let out = server.json("CALL generate.mixed(28)");
    for ((n, line), value) in out.lines().enumerate().zip(MIXED_JSON) {
        if n == 25 {
            assert!(line.starts_with(r#"{"n":25,"value":{"nodes":[{"id":25,"#), "{line}");
            assert_eq!(line.matches(r#""start":25,"#).count(), 2, "walked there and back: {line}");
            assert_eq!(line.matches(r#""labels""#).count(), 3, "{line}");
        } else {
            assert_eq!(line, format!(r#"{{"n":{n},"value":{value}}}"#));
        }
    }
    assert_eq!(out.lines().count(), 28);
}

#[test]
fn csv_of_every_type() {
    let server = Server::start(&["--generated"]);
    let out = done(&mut server.run(&["--format", "csv", "CALL generate.mixed(28)"])).ok();
    let lines: Vec<&str> = out.split("\r\n").collect();
    assert_eq!((lines.len(), lines[0], lines[29]), (30, "n,value", ""));
    for (n, field) in [
        (0, ""),
        (3, "0"),
        (4, "0.0"),
        (5, "\"\""),
        (6, "abcdef"),
        (8, "CAgICAgICAg="),
        (10, r#""[10,0.5,""three"",null]""#),
        (12, r#""{""a"":12,""b"":null,"""":""empty key""}""#),
        (14, "1915-08-18"),
        (20, "P1Y8M-20DT-0.5S"),
        (27, "40d29eb5-7de1-d510-0000-00000000001b"),
    ] {
        assert_eq!(lines[n + 1], format!("{n},{field}"));
    }
}

#[test]
fn table_of_every_type() {
    let server = Server::start(&["--generated"]);
    let out = done(&mut server.run(&["CALL generate.mixed(28)"])).ok();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 28 + 5);
    assert!(lines[0].starts_with("+----+--") && lines[1].starts_with("|  n | value "), "{out}");
    for part in [
        "|  0 | null ",
        "|  7 | größe 数 🦀 ",
        "|  8 | 0x0808080808080808 ",
        "| 10 | [10, 0.5, \"three\", null] ",
        "| 21 | point({srid: 7203, x: 21.0, y: -0.5}) ",
        "| 23 | (:Person {name: \"Person-000023\", ",
        "| 24 | [:KNOWS {since: 2024}] ",
        "-[:KNOWS {since: 2000}]->(:Person",
    ] {
        assert!(out.contains(part), "{part:?} is not in\n{out}");
    }
    assert!(lines[32].starts_with("28 records, "), "{}", lines[32]);
}

#[test]
fn null_decodes_and_prints_nothing() {
    let server = Server::start(&["--generated"]);
    let done = done(&mut server.run(&["--format", "null", "--stats", "CALL generate.mixed(28000)"]));
    assert_eq!((done.code(), done.out.as_str(), done.stat("records")), (0, "", 28_000.0));
    for field in ["bytes", "wall_ms", "allocations", "allocations_per_record"] {
        assert!(done.stat(field) >= 0.0, "{field}");
    }
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
}

#[test]
fn integers_floats_and_strings_are_exact() {
    let server = Server::start(&["--generated"]);
    let words = [
        "--format",
        "json",
        "--param",
        "big=9223372036854775807",
        "--param",
        "small=-9223372036854775808",
        "--param",
        "f=0.1",
        "--param",
        "g=1e300",
        "--param",
        r#"s="quote \" backslash \\ newline \n esc \u001b c1 \u009b nul \u0000 😀""#,
        "RETURN $big AS big, $small AS small, $f AS f, $g AS g, $s AS `the \"s\"`",
    ];
    let out = done(&mut server.run(&words)).ok();
    let expected = concat!(
        r#"{"big":9223372036854775807,"small":-9223372036854775808,"f":0.1,"g":1e300,"the \"s\"":"#,
        r#""quote \" backslash \\ newline \n esc \u001b c1 \u009b nul \u0000 😀"}"#,
        "\n"
    );
    assert_eq!(out, expected);
}

#[test]
fn nothing_a_terminal_obeys_is_in_a_table() {
    let server = Server::start(&["--generated"]);
    let words = ["--param", r#"s="\u001b[2J\u009b31m\u0007\r\n\u202e""#, "RETURN $s AS s, [1] AS l"];
    // The generator knows no lists of literals; one column is enough.
    let words = [words[0], words[1], "RETURN $s AS s"];
    let out = done(&mut server.run(&words)).ok();
    assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "{out:?}");
    assert!(out.contains(r"\u001b[2J\u009b31m\u0007\r\n\u202e"), "{out}");
}

#[test]
fn deep_and_large_values() {
    let server = Server::start(&["--generated"]);
    let deep = format!("{}7{}", "[".repeat(128), "]".repeat(128));
    let out =
        done(&mut server.run(&["--format", "json", "--param", &format!("x={deep}"), "RETURN $x AS x"])).ok();
    assert_eq!(out, format!("{{\"x\":{deep}}}\n"));
    let long = "größe ".repeat(15_000);
    let param = format!("x=\"{long}\"");
    let out = done(&mut server.run(&["--format", "json", "--param", &param, "RETURN $x AS x"])).ok();
    assert_eq!(out, format!("{{\"x\":\"{long}\"}}\n"));
    let table = done(&mut server.run(&["--param", &param, "RETURN $x AS x"])).ok();
    assert!(table.contains("größe gr") && table.contains("… |") && table.len() < 2_000, "{}", table.len());
}
