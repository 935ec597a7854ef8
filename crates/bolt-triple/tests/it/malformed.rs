//! Texts that are nearly N-Triples or Turtle: what each is told to be, and where, and how many triples are left. The words are the parser's; a new version of it
//! may find others.

use bolt_triple::{Fault, Ingest, Text};

/// A text; the triples it has all the same, and each error with line, column and message.
type Told = (&'static [u8], &'static str);

#[rustfmt::skip]
const NTRIPLES: &[Told] = &[
    (b"<urn:1> <urn:p> <urn:b>\n<urn:2> <urn:p> <urn:b> .\n", r#"1; 1:24 Quads must be followed by a dot"#),
    (b"<urn:a> <urn:p> \"x\\q\" .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:19 Unexpected escape character \'\\q\'"#),
    (b"<urn:a> <urn:p> \"\\u12\" .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:17 The line ends within this: a term is not closed, or the dot is missing"#),
    (b"<urn:a> <urn:p> \"\\uD800\" .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:18 The escape sequence \'\\uD800\' is encoding D800 that is not a valid unicode character"#),
    (b"<urn:a> <urn:p> \"\\U00110000\" .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:18 The escape sequence \'\\U00110000\' is encoding 110000 that is not a valid unicode character"#),
    (b"<urn:a b> <urn:p> <urn:b> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:1 Invalid IRI code point \' \'"#),
    (b"<a> <urn:p> <urn:b> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:1 No scheme found in an absolute IRI"#),
    (b"<> <urn:p> <urn:b> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:1 No scheme found in an absolute IRI"#),
    (b"<urn:a> <urn:p> <urn:b\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:17 The line ends within this: a term is not closed, or the dot is missing"#),
    (b"<urn:a> <urn:p> \"open\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:17 The line ends within this: a term is not closed, or the dot is missing"#),
    (b"<urn:a> <urn:p> \"open", r#"0; 1:17 The line ends within this: a term is not closed, or the dot is missing"#),
    (b"<urn:a> <urn:p> \"x\"@ .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:21 A language code should always start with a letter"#),
    (b"<urn:a> <urn:p> \"x\"@1en .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:21 A language code should always start with a letter"#),
    (b"<urn:a> <urn:p> \"x\"@abcdefghijk .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:21 A subtag may be eight characters in length at maximum"#),
    (b"<urn:a> <urn:p> \"x\"^^ .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:23 A literal datatype must be an IRI"#),
    (b"<urn:a> <urn:p> \"x\"^^\"y\" .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:22 A literal datatype must be an IRI"#),
    (b"<urn:a> <urn:p> <urn:b>\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:24 Quads must be followed by a dot"#),
    (b"<urn:a> <urn:p> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:17 The object of a triple must be an IRI, a blank node or a literal"#),
    (b"<urn:a> <urn:p> <urn:b> <urn:c> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:25 Quads must be followed by a dot"#),
    (b"\"x\" <urn:p> <urn:b> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:1 The subject of a triple must be an IRI or a blank node"#),
    (b"<urn:a> \"p\" <urn:b> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:9 The predicate of a triple must be an IRI"#),
    (b"<urn:a> _:p <urn:b> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:9 The predicate of a triple must be an IRI"#),
    (b"<urn:a> <urn:p> <urn:b> .\r\n<urn:a> nonsense .\r\n<urn:a> <urn:p> <urn:b> .\r\n", r#"2; 2:9 The predicate of a triple must be an IRI"#),
    (b"\xef\xbb\xbf<urn:a> <urn:p> <urn:b> .\n<urn:a> <urn:p> <urn:b> .\n", r#"2"#),
    (b"<urn:a> <urn:p> \"\xff\" .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:18 Invalid UTF-8: invalid utf-8 sequence of 1 bytes from index 0"#),
    (b"<urn:\xc3> <urn:p> \"x\" .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:5 Invalid UTF-8: incomplete utf-8 byte sequence from index 4"#),
    (b"\xff\xfe<\0u\0\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:1 Invalid UTF-8 character encoding"#),
    (b"_: <urn:p> <urn:b> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:1 A blank node ID cannot be empty"#),
    (b"_:-a <urn:p> <urn:b> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:1 A blank node ID cannot be empty"#),
    (b"_:a. <urn:p> <urn:b> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:4 The predicate of a triple must be an IRI"#),
    (b"<urn:a> <urn:p> 1 .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:17 The object of a triple must be an IRI, a blank node or a literal"#),
    (b"<urn:a> <urn:p> <<( <urn:a> <urn:p> <urn:b> )>> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:17 The object of a triple must be an IRI, a blank node or a literal"#),
    (b"<urn:a> <urn:p> \"x\"@en--ltr .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:25 Literal base direction are only allowed in RDF 1.2"#),
    (b"\xc3\xa4\xc3\xa4 <urn:p> <urn:b> .\n", r#"0; 1:1 The subject of a triple must be an IRI or a blank node"#),
    (b"\0\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:1 \'\0\' is not allowed at the beginning of a prefix name"#),
    (b"", r#"0"#),
    (b"\n\n# only\n", r#"0"#),
    (b"# no newline", r#"0"#),
];

#[rustfmt::skip]
const TURTLE: &[Told] = &[
    (b"<urn:a> <urn:p> \"x\\q\" .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:19 Unexpected escape character \'\\q\'"#),
    (b"<urn:a> <urn:p> ex:b .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:17 The prefix ex: has not been declared"#),
    (b"@prefix ex: <urn:x#>\nex:a ex:p ex:b .\n<urn:a> <urn:p> <urn:b> .\n", r#"2; 2:1 A dot is expected at the end of statements"#),
    (b"@prefix ex <urn:x#> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:9 The PREFIX keyword should be followed by a prefix like \'ex:\'"#),
    (b"@prefix ex: <urn:x#> . @prefix ex: <urn:y#> . ex:a ex:p ex:b .\n", r#"1"#),
    (b"PREFIX ex: <urn:x#> .\nex:a ex:p ex:b .\n", r#"0; 1:21 . is not a valid subject or graph name"#),
    (b"@base <rel> .\n<a> <b> <c> .\n", r#"0; 1:7 No scheme found in an absolute IRI; 2:1 No scheme found in an absolute IRI; 2:5 No scheme found in an absolute IRI; 2:9 No scheme found in an absolute IRI"#),
    (b"@base <http://x/> . <a> <b> <c> . @base <y/> . <a> <b> <c> .\n", r#"2"#),
    (b"<a> <b> <c> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:1 No scheme found in an absolute IRI; 1:5 No scheme found in an absolute IRI; 1:9 No scheme found in an absolute IRI"#),
    (b"<urn:a> <urn:p> ( 1 ( 2 [ <urn:q> ( ) ] ) ) .\n", r#"10"#),
    (b"<urn:a> <urn:p> ( 1 ( 2 .\n<urn:a> <urn:p> <urn:b> .\n", r#"6; 1:25 . is not a valid RDF object"#),
    (b"<urn:a> <urn:p> [ <urn:q> 1 .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:29 blank node property lists should end with a \']\'"#),
    (b"[] .\n<urn:a> <urn:p> <urn:b> .\n", r#"0; 1:4 . is not a valid predicate"#),
    (b"[ <urn:p> 1 ] .\n<urn:a> <urn:p> <urn:b> .\n", r#"2"#),
    (b"<urn:a> <urn:p> 1 , .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:21 . is not a valid RDF object"#),
    (b"<urn:a> <urn:p> 1 ; ; .\n<urn:a> <urn:p> <urn:b> .\n", r#"2"#),
    (b"<urn:a> a .\n<urn:a> <urn:p> <urn:b> .\n", r#"0; 1:11 . is not a valid RDF object"#),
    (b"a <urn:p> 1 .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:1 a is not a valid subject or graph name"#),
    (b"<urn:a> <urn:p> 1e .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:17 A double exponent cannot be empty"#),
    (b"<urn:a> <urn:p> 1.2.3 .\n<urn:a> <urn:p> <urn:b> .\n", r#"2; 1:20 .3 is not a valid subject or graph name; 1:20 A dot is expected at the end of statements"#),
    (b"<urn:a> <urn:p> tru .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:17 tru is not a valid RDF object"#),
    (b"<urn:a> <urn:p> '''a\nb\n''x .\n", r#"0; 1:17 Unexpected end of file"#),
    (b"<urn:a> <urn:p> \"\"\"a\nb\"\"\"@ .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 2:6 A language code should always start with a letter"#),
    (b"<urn:a> <urn:p> <urn:b> .\r\n\r\n<urn:a> <urn:p> ^ .\r\n<urn:a> <urn:p> <urn:b> .\r\n", r#"2; 3:17 ^ is not a valid RDF object"#),
    (b"<urn:a> <urn:p> 1 .\r<urn:a> <urn:p> ^ .\r", r#"1; 2:17 ^ is not a valid RDF object"#),
    (b"\xef\xbb\xbf@prefix ex: <urn:x#> .\nex:a ex:p ex:b .\n", r#"1"#),
    (b"<urn:a> <urn:p> \"\xff\" .\n<urn:a> <urn:p> <urn:b> .\n", r#"0; 1:18 Invalid UTF-8: invalid utf-8 sequence of 1 bytes from index 0; 1:18 Invalid UTF-8 character encoding; 1:18 Unexpected end of file"#),
    (b"<urn:a> <urn:p> <<( <urn:a> <urn:p> <urn:b> )>> .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:17 <<( is not a valid RDF object"#),
    (b"<< <urn:a> <urn:p> <urn:b> >> <urn:q> 1 .\n", r#"0; 1:1 << is not a valid subject or graph name"#),
    (b"<urn:a> <urn:p> \"x\" {| <urn:q> 1 |} .\n", r#"1; 1:21 {| is not a valid subject or graph name; 1:21 A dot is expected at the end of statements"#),
    (b"<urn:a> <urn:p> )\n<urn:a> <urn:p> <urn:b> .\n", r#"0; 1:17 ) is not a valid RDF object"#),
    (b"<urn:a> <urn:p> <urn:b>", r#"1; 1:24 Unexpected end"#),
    (b"<urn:a> <urn:p> \"\xc3\xa4\xc3\xa4\" ^ .\n", r#"1; 1:22 ^ is not a valid subject or graph name; 1:22 A dot is expected at the end of statements"#),
    (b"ex:a\\ b <urn:p> 1 .\n", r#"0; 1:3 The character that are allowed to be escaped in IRIs are _~.-!$&\'()*+,;=/?#@%, found \' \'"#),
    (b"<urn:a> <urn:p> \"x\"^^xsd:int .\n<urn:a> <urn:p> <urn:b> .\n", r#"1; 1:22 The prefix xsd: has not been declared"#),
    (b"GRAPH <urn:g> { <urn:a> <urn:p> 1 }\n", r#"0; 1:1 GRAPH is not a valid subject or graph name"#),
    (b"@version \"1.2\" .\n<urn:a> <urn:p> 1 .\n", r#"1; 1:1 @version is not a valid subject or graph name"#),
    (b"<urn:a> <urn:p>\n\n\n    ^ .\n", r#"0; 4:5 ^ is not a valid RDF object"#),
];

fn told<R: std::io::BufRead>(mut text: Text<R>) -> String {
    let (mut triples, mut errors) = (0, String::new());
    loop {
        match text.ingest() {
            Ok(Some(_)) => triples += 1,
            Ok(None) => return format!("{triples}{errors}"),
            Err(fault) => {
                assert!(matches!(fault, Fault::Malformed(_)), "{fault:?}");
                let place = text.place().to_string().replace("line ", "").replace(", column ", ":");
                errors += &format!("; {place} {}", fault.to_string().escape_debug());
            }
        }
    }
}

#[test]
fn each_malformed_line_of_ntriples_is_told_once_and_costs_no_other() {
    for (text, expected) in NTRIPLES {
        let whole = told(Text::ntriples(*text));
        assert_eq!(whole, *expected, "{}", text.escape_ascii());
        // A line that comes in pieces is the same line.
        let pieces = std::io::BufReader::with_capacity(5, *text);
        assert_eq!(told(Text::ntriples(pieces)), *expected, "in pieces: {}", text.escape_ascii());
    }
}

#[test]
fn malformed_turtle_is_told_where_it_stops_being_turtle() {
    for (text, expected) in TURTLE {
        let whole = told(Text::turtle(*text));
        assert_eq!(whole, *expected, "{}", text.escape_ascii());
    }
}
