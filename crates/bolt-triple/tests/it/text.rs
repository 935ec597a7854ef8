//! Text through the pipeline: terms and ids, lines and columns, limits, and what may not panic.

use bolt_triple::{
    BufferPool, Fault, Hooks, InOrder, Ingest, Intern, Interner, Matcher, Pattern, PatternHook, Pipeline,
    PipelineError, Place, PoolError, Progress, Stage, Stages, Tally, TermTable, Text, Totals,
};
use proptest::prelude::*;
use std::io::{BufReader, Read};

const TURTLE: &str = include_str!("../../examples/people.ttl");
const NTRIPLES: &str =
    "<urn:a> <urn:p> <urn:b> .\n<urn:a> <urn:p> \"x y\"@en .\n_:b <urn:p> \"1\"^^<urn:int> . # end\n";

/// Runs a text to its end, over all errors.
fn run<R: std::io::BufRead>(text: Text<R>, intern: Intern<&mut TermTable>) -> (Totals, Vec<PipelineError>) {
    let pool: BufferPool<4, 64> = BufferPool::new();
    let hooks = Hooks::new([PatternHook::new(1, Matcher::new(Pattern::ANY))]);
    let stages =
        Stages { ingest: text, transform: intern, load: InOrder, reflex: hooks, emit: Tally::default() };
    let mut pipeline = Pipeline::new(&pool, pool.receipts(), stages);
    let mut errors = Vec::new();
    loop {
        match pipeline.run() {
            Ok(progress) => {
                assert_eq!(progress, Progress::Done);
                break;
            }
            Err(error) => errors.push(error),
        }
    }
    let totals = pipeline.totals();
    assert_eq!(pipeline.into_stages().emit.triples, totals.triples);
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0);
    (totals, errors)
}

fn at(line: u64, column: u64) -> Place {
    Place::Text { line, column }
}

fn table() -> TermTable {
    TermTable::new(1000, 100_000)
}

#[test]
fn turtle_and_ntriples_become_triples_of_ids() {
    let mut terms = table();
    let (totals, errors) = run(Text::turtle(TURTLE.as_bytes()), Intern::new(&mut terms));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!((totals.triples, totals.batches), (13, 2));
    assert!(terms.id("\"Bob\"@en").is_some());
    assert!(terms.id("\"42\"^^<http://www.w3.org/2001/XMLSchema#integer>").is_some());
    let alice = terms.id("<http://example.org/alice>").unwrap();
    assert_eq!(terms.resolve(alice), Some("<http://example.org/alice>"));

    let mut terms = table();
    // A reader that yields a few bytes at a time gives the same.
    let drops = BufReader::with_capacity(3, NTRIPLES.as_bytes());
    let (totals, errors) = run(Text::ntriples(drops), Intern::new(&mut terms));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!((totals.triples, terms.len()), (3, 6));
}

#[test]
fn a_malformed_triple_is_told_with_line_and_column_and_the_others_stay() {
    let text = NTRIPLES.replace("<urn:a> <urn:p> \"x y\"@en .", "<urn:a> nonsense .");
    let mut terms = table();
    let (totals, errors) = run(Text::ntriples(text.as_bytes()), Intern::new(&mut terms));
    assert_eq!(totals.triples, 2, "the triples before and behind");
    assert_eq!((errors[0].stage, errors[0].place), (Stage::Ingest, at(2, 9)), "{errors:?}");
    assert!(matches!(&errors[0].fault, Fault::Malformed(message) if !message.is_empty()));
    assert!(errors[0].to_string().starts_with("ingest at line 2, column 9: "), "{}", errors[0]);

    let mut terms = table();
    let (_, errors) =
        run(Text::turtle(&b"<urn:a> <urn:p> <urn:b> .\n<urn:a> <urn:p> ^ .\n"[..]), Intern::new(&mut terms));
    assert_eq!(errors[0].place, at(2, 17), "{errors:?}");
}

#[test]
fn a_term_over_the_limit_is_told_with_line_and_column() {
    let long = "l".repeat(50);
    let texts = [
        (format!("<urn:a> <urn:p> <urn:b> .\n  <urn:{long}> <urn:p> <urn:b> .\n"), at(2, 3)),
        (format!("<urn:a> <urn:p> <urn:b> .\n_:ä  <urn:{long}> \"x\" .\n"), at(2, 6)),
        (format!("<urn:a> <urn:p> <urn:b> .\n<urn:a>\t<urn:p> \"{long}\" .\n"), at(2, 17)),
    ];
    for (text, place) in &texts {
        let mut terms = table();
        let (totals, errors) = run(Text::ntriples(text.as_bytes()), Intern::with_limit(&mut terms, 40));
        assert_eq!(totals.triples, 1);
        assert_eq!((errors.len(), errors[0].stage, errors[0].place), (1, Stage::Transform, *place), "{text}");
        assert!(matches!(errors[0].fault, Fault::TermTooLong { bytes: 41.., max: 40 }), "{errors:?}");
        let (_, errors) = run(Text::turtle(text.as_bytes()), Intern::with_limit(&mut terms, 40));
        assert!(matches!(errors[0].place, Place::Text { line: 2, column: 1 | 3 }), "{errors:?}");
    }
}

#[test]
fn a_statement_without_an_end_is_given_up_at_its_limit() {
    let text = format!("<urn:a> <urn:p> <urn:b> .\n<urn:a> <urn:p> \"\"\"{}", "one line\n".repeat(100_000));
    let mut terms = table();
    let (totals, errors) =
        run(Text::turtle(text.as_bytes()).with_statement_limit(10_000), Intern::new(&mut terms));
    assert_eq!((totals.triples, errors.len()), (1, 1));
    assert_eq!(errors[0].stage, Stage::Ingest);
    assert!(
        matches!(errors[0].fault, Fault::TermTooLong { bytes: 10_001..40_000, max: 10_000 }),
        "{errors:?}"
    );
}

#[test]
fn a_full_interner_refuses_new_terms_and_knows_the_old_ones() {
    let mut terms = TermTable::new(4, 1000);
    let (totals, errors) = run(Text::ntriples(NTRIPLES.as_bytes()), Intern::new(&mut terms));
    assert_eq!((totals.triples, errors.len()), (2, 1));
    assert!(matches!(errors[0].fault, Fault::TermsExhausted { terms: 4, .. }));
    assert_eq!(errors[0].place, at(3, 1));
    let mut bytes = TermTable::new(100, 8);
    assert_eq!(bytes.intern("<urn:a>").unwrap(), 1);
    assert!(matches!(bytes.intern("<urn:b>"), Err(Fault::TermsExhausted { terms: 1, bytes: 7 })));
    assert_eq!(bytes.intern("<urn:a>").unwrap(), 1);
    assert_eq!((bytes.resolve(0), bytes.resolve(2), bytes.len()), (None, None, 1));
}

#[test]
fn a_reader_that_fails_is_told_and_read_again() {
    struct Flaky<'a>(&'a [u8], bool);
    impl Read for Flaky<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            if std::mem::replace(&mut self.1, false) {
                return Err(std::io::Error::other("unplugged"));
            }
            self.0.read(into)
        }
    }
    let mut terms = table();
    let reader = BufReader::new(Flaky(NTRIPLES.as_bytes(), true));
    let (totals, errors) = run(Text::ntriples(reader), Intern::new(&mut terms));
    assert_eq!((totals.triples, errors.len()), (3, 1));
    assert_eq!(errors[0].to_string(), "ingest at line 1, column 1: unplugged");
    assert!(std::error::Error::source(&errors[0]).is_some());
    assert!(std::error::Error::source(&Fault::from(PoolError::HandlesExhausted)).is_some());
}

#[test]
fn once_warm_only_the_parser_allocates() {
    let triples = if cfg!(miri) { 40 } else { 10_000 };
    let text: String = (0..triples)
        .map(|i| format!("<urn:s{}> <urn:p{}> \"object {}\" .\n", i % 20, i % 3, i % 20))
        .collect();
    for turtle in [false, true] {
        let open = || if turtle { Text::turtle(text.as_bytes()) } else { Text::ntriples(text.as_bytes()) };
        let parser = || {
            let (mut ingest, mut count) = (open(), 0);
            while ingest.ingest().unwrap().is_some() {
                count += 1;
            }
            count
        };
        let mut terms = table();
        // The terms are known and the parser's lazy parts are made from here on.
        run(open(), Intern::new(&mut terms));
        let (count, alone) = bolt_alloc::measure(parser);
        assert_eq!(count, triples);
        let pool: BufferPool = BufferPool::new();
        let ((), all) = bolt_alloc::measure(|| {
            let hooks = Hooks::new([PatternHook::new(1, Matcher::new(Pattern::ANY))]);
            let (ingest, transform) = (open(), Intern::new(&mut terms));
            let stages = Stages { ingest, transform, load: InOrder, reflex: hooks, emit: Tally::default() };
            let mut pipeline = Pipeline::new(&pool, pool.receipts(), stages);
            assert_eq!(pipeline.run().unwrap(), Progress::Done);
        });
        // The buffer in which a term is written grows a few times at first.
        let ours = all.allocations + all.reallocations - alone.allocations - alone.reallocations;
        assert!(ours <= 8, "{ours} beside the parser's {alone:?}");
        let each = alone.allocations as f64 / f64::from(triples);
        assert!((2.0..12.0).contains(&each), "the parser's, a triple: {each}");
        println!("turtle {turtle}: {each:.2} allocations a triple, all of them the parser's");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 300 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_or_keeps_a_batch(
        cuts in prop::collection::vec((0..TURTLE.len(), any::<u8>()), 0..6),
        capacity in 1_usize..40,
    ) {
        let mut text = TURTLE.as_bytes().to_vec();
        for (at, byte) in cuts {
            text[at] = byte;
        }
        let mut terms = table();
        let intern = Intern::with_limit(&mut terms, 30);
        run(Text::turtle(BufReader::with_capacity(capacity, &text[..])), intern);
        run(Text::ntriples(&text[..]), Intern::new(&mut terms));
    }
}
