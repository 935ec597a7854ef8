//! Reads a Turtle file, matches two patterns against it, prints receipts and profile:
//! `cargo run -p bolt-triple --features rdf,profiling --example turtle [-- file.ttl]`.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;

use bolt_triple::{
    Answer, BufferPool, Emission, Fault, Hooks, InOrder, Intern, Interner, Matcher, Pattern, PatternHook,
    Pipeline, Progress, Stages, TermTable, Text, ticks,
};

fn main() -> Result<(), Box<dyn Error>> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/people.ttl");
    let path = std::env::args().nth(1).unwrap_or_else(|| sample.to_owned());
    let file = File::open(&path).map_err(|error| format!("{path}: {error}"))?;
    let mut terms = TermTable::new(10_000_000, 1 << 30);
    let knows = terms.intern("<http://xmlns.com/foaf/0.1/knows>")?;
    let a = terms.intern("<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>")?;
    let person = terms.intern("<http://xmlns.com/foaf/0.1/Person>")?;
    let hooks = Hooks::new([
        PatternHook::new(1, Matcher::new(Pattern::new(None, Some(knows), None))),
        PatternHook::new(2, Matcher::new(Pattern::new(None, Some(a), Some(person)))),
    ]);

    let mut found = Vec::new();
    let pool: BufferPool = BufferPool::new();
    let stages = Stages {
        ingest: Text::turtle(BufReader::new(file)),
        transform: Intern::new(&mut terms),
        load: InOrder,
        reflex: hooks,
        emit: |emission: &Emission<'_>| -> Result<Answer, Fault> {
            for firing in emission.firings {
                let triples = firing.matched.indices().filter_map(|at| emission.batch.get(at));
                found.extend(triples.map(|triple| (firing.receipt.hook, triple)));
            }
            Ok(Answer::Taken)
        },
    };
    let mut pipeline = Pipeline::new(&pool, pool.receipts(), stages);
    let mut malformed = 0;
    loop {
        match pipeline.run() {
            Ok(Progress::Done) => break,
            Ok(_) => {}
            Err(error) => {
                eprintln!("{path}: {error}");
                malformed += 1;
                if malformed == 10 {
                    return Err("ten errors are enough".into());
                }
            }
        }
    }
    let totals = pipeline.totals();
    drop(pipeline);

    for (hook, triple) in &found {
        let term = |id| terms.resolve(id).unwrap_or("?");
        println!("hook {hook}: {} {} {}", term(triple.subject), term(triple.predicate), term(triple.object));
    }
    println!("\nreceipts of the last run ({:?}):", ticks::UNIT);
    for receipt in pool.receipts().iter().take(10) {
        let (cycle, hook, hash) = (receipt.cycle, receipt.hook, receipt.hash);
        println!(
            "  cycle {cycle} hook {hook}: {} ticks, {} lanes, {hash:016x}",
            receipt.ticks, receipt.lanes
        );
    }
    println!("merged: {:?}", totals.receipt);
    println!("triples {}, batches {}, terms {}", totals.triples, totals.batches, terms.len());
    println!("{:?}", pool.stats());
    println!("{:?}", pool.capacity_usage());
    Ok(())
}
