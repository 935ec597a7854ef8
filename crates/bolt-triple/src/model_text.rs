//! Owns: the model of a pipeline over text: bytes become a text and a sink with moods, run against the stages called one by one. For tests and
//! fuzz targets only. Never part of a build without the features `model` and `rdf`. Limits: a term of 200 bytes, a statement of 64 KiB.

use std::io::{BufRead, BufReader};
use std::vec::Vec;

use crate::{
    Answer, BufferPool, Emission, Fault, Hooks, InFlight, InOrder, Ingest, Intern, Matcher, Pattern,
    PatternHook, Pipeline, Progress, Stage, Stages, TermTable, Text, Transform, Triple,
};

const TERM_BYTES: usize = 200;
const STATEMENT_BYTES: usize = 64 * 1024;
/// Few, so that a sink in a mood exhausts them.
const BATCHES: usize = 3;

/// Runs `bytes` as a text through a pipeline and panics where it loses, repeats or keeps something. The first byte chooses the format and the size of
/// the reader's pieces, the second the moods of the sink.
pub fn run(bytes: &[u8]) {
    let [format, moods, text @ ..] = bytes else { return };
    let pieces = 1 + usize::from(format >> 1);
    let reader = || BufReader::with_capacity(pieces, text);
    let open = |reader| if format & 1 == 0 { Text::ntriples(reader) } else { Text::turtle(reader) };
    let (expected, faults) = one_by_one(open(reader()).with_statement_limit(STATEMENT_BYTES));
    through_a_pipeline(open(reader()).with_statement_limit(STATEMENT_BYTES), *moods, &expected, faults);
}

fn table() -> Intern<TermTable> {
    Intern::with_limit(TermTable::new(10_000, 1 << 20), TERM_BYTES)
}

/// What the text says: its triples, and how often ingest or transform refused.
fn one_by_one<R: BufRead>(mut text: Text<R>) -> (Vec<Triple>, usize) {
    let (mut intern, mut triples, mut faults) = (table(), Vec::new(), 0);
    loop {
        match text.ingest() {
            Ok(Some(item)) => match intern.transform(item) {
                Ok(triple) => triples.push(triple),
                Err(_) => faults += 1,
            },
            Ok(None) => return (triples, faults),
            Err(_) => faults += 1,
        }
    }
}

fn through_a_pipeline<R: BufRead>(text: Text<R>, moods: u8, expected: &[Triple], faults: usize) {
    let pool: BufferPool<BATCHES, 8> = BufferPool::new();
    let mut taken: Vec<Triple> = Vec::new();
    let mut asked = 0_u32;
    // Each bit is a mood for one question in eight: it takes, or says not now, or fails, by turns.
    let sink = |emission: &Emission<'_>| {
        asked += 1;
        match (moods.rotate_left(asked) & 1, asked % 3) {
            (1, 1) => Ok(Answer::NotNow),
            (1, 2) => Err(Fault::Refused("a mood")),
            _ => {
                taken.extend(emission.batch.iter());
                Ok(Answer::Taken)
            }
        }
    };
    let stages = Stages {
        ingest: text,
        transform: table(),
        load: InOrder,
        reflex: Hooks::new([PatternHook::new(1, Matcher::new(Pattern::ANY))]),
        emit: sink,
    };
    let mut pipeline = Pipeline::bounded(InFlight::<2>, &pool, pool.receipts(), stages);
    let mut refused = 0;
    loop {
        assert!(
            pool.capacity_usage().soa_buffers_in_use == pipeline.in_flight(),
            "a batch is held for nothing"
        );
        match pipeline.step() {
            Ok(Progress::Done) => break,
            Ok(_) => {}
            Err(error) if error.stage == Stage::Emit => {}
            Err(error) => {
                assert!(matches!(error.stage, Stage::Ingest | Stage::Transform), "{error}");
                refused += 1;
            }
        }
    }
    let totals = pipeline.totals();
    drop(pipeline);
    assert_eq!(pool.capacity_usage().soa_buffers_in_use, 0, "every batch came back");
    assert_eq!(refused, faults, "the same faults");
    assert_eq!((totals.triples as usize, totals.receipt.lanes as usize), (taken.len(), taken.len()));
    assert!(taken == expected, "the same triples in the same order");
}

#[cfg(test)]
mod tests {
    /// Kinds of text that files are found in; each whole and cut anywhere.
    const TEXTS: &[&[u8]] = &[
        b"",
        b"\xef\xbb\xbf<urn:a> <urn:p> <urn:b> .\n",
        b"<urn:a> <urn:p> <urn:b> .\r\n<urn:a> <urn:p> \"1\"^^<urn:t> .\r\n# end\r\n",
        b"<urn:a> <urn:p> \"\\uD800\" .\n<urn:a> <urn:p> \"\\U00110000\" .\n<urn:a> <urn:p> <urn:c> .\n",
        b"<urn:a> <urn:p> \"not ended .\n<urn:a> <urn:p> \"\xff\xfe\" .\n<urn:\xc3\x28> <urn:p> _:b .\n",
        b"<urn:a> <urn:p> <urn:b>\n<relative> <urn:p> <urn:b> .\n<urn:a b> <urn:p> <urn:b> .\n",
        b"@prefix : <urn:> .\n:a :p :b , [ :q ( 1 2.5 true ) ] ; :r \"\"\"long\ntext\"\"\"@en-GB .\n:c a :d .\n",
        b"@prefix : <urn:> .\n:a :p ( ( ( ) ) , ] .\n@base <http://x/> .\n<y> <z> 'q' .\nPREFIX e: <urn:e>\ne:a e:b e:c .\n",
        b"<urn:s1> <urn:p> 1 . <urn:s2> <urn:p> 2 . <urn:s3> <urn:p> 3 . <urn:s4> <urn:p> 4 . <urn:s5> <urn:p> 5 . <urn:s6> \
          <urn:p> 6 . <urn:s7> <urn:p> 7 . <urn:s8> <urn:p> 8 . <urn:s9> <urn:p> 9 . <urn:s10> <urn:p> 10 , 11 , 12 , 13 .",
    ];

    #[test]
    fn texts_of_many_kinds_lose_nothing_and_keep_no_batch() {
        let step = if cfg!(miri) { 60 } else { 1 };
        for (at, text) in TEXTS.iter().enumerate() {
            for end in (0..=text.len()).step_by(step) {
                let mut input = vec![(end as u8).wrapping_mul(37), (at as u8).wrapping_mul(91) ^ end as u8];
                input.extend_from_slice(&text[..end]);
                super::run(&input);
            }
        }
    }

    #[test]
    fn a_term_over_the_limit_and_a_statement_over_the_limit_are_left_out() {
        let long = "l".repeat(if cfg!(miri) { 300 } else { 70_000 });
        for format in [0, 1, 254, 255] {
            for text in [
                format!("<urn:a> <urn:p> <urn:{long}> .\n<urn:a> <urn:p> <urn:b> .\n"),
                format!("<urn:a> <urn:p> \"{long}"),
            ] {
                super::run(&[&[format, 0b0101_1010][..], text.as_bytes()].concat());
            }
        }
    }
}
