//! What touches the heap: nothing that is done per record or per query, once warm.

use bolt_alloc::assert_no_alloc;
use bolt_buf::{BoltBuf, BufConfig};
use bolt_wire::chunk::{Chunked, Dechunker};
use bolt_wire::request::{AccessMode, Pull, Request, Run, RunExtra, WriteMessage};
use bolt_wire::response::{AnswerKind, Record, Response, RunReply, Success};
use bolt_wire::state::Pending;
use bolt_wire::summary::{PullSuccess, ResultFacts, RunSuccess, Summary};
use bolt_wire::{Fields, Limits, Version, Walker};

#[global_allocator]
static ALLOC: bolt_alloc::CountingAlloc = bolt_alloc::CountingAlloc::new();

/// A query's whole life on both sides, again and again: encoding, chunks, parsing, the queue, the summary.
#[test]
fn a_warm_query_touches_no_heap() {
    let version = Version::V5_8;
    let mut flight = BoltBuf::with_config(BufConfig::new(4_096, 1 << 20).unwrap());
    let mut answer = BoltBuf::with_config(BufConfig::new(4_096, 1 << 20).unwrap());
    let (mut dechunker, mut pending) = (Dechunker::new(), Pending::new());
    let (mut walker, mut fields, mut summary) = (Walker::default(), Fields::new(), Summary::default());
    let extra = RunExtra { mode: AccessMode::Read, db: Some("neo4j"), ..RunExtra::default() };
    let mut query = |records: i64| {
        Run { query: "UNWIND range(1, $n) AS x RETURN x", params: &[("n", records)], extra: &extra }
            .write(version, false, &mut flight)
            .unwrap();
        Pull { n: 1_000, qid: None }.write(version, false, &mut flight).unwrap();
        pending.push(bolt_wire::request::RequestTag::Run, 0).unwrap();
        pending.push(bolt_wire::request::RequestTag::Pull, 0).unwrap();

        // The server's side.
        let mut requests = 0;
        while let Chunked::Message { start, end, consumed } =
            dechunker.next(flight.read_slice_mut(), 1 << 20).unwrap()
        {
            let request = Request::parse(&flight.read_slice()[start..end], version, false, &mut walker);
            requests += usize::from(request.is_ok());
            flight.consume(consumed);
        }
        assert_eq!(requests, 2);
        let reply = RunReply { fields: &["x"], t_first_ms: Some(1), qid: None, db: None };
        Success(reply).write(version, false, &mut answer).unwrap();
        for x in 0..records {
            Record(&[x]).write(version, false, &mut answer).unwrap();
        }
        Success([("type", "r"), ("db", "neo4j")]).write(version, false, &mut answer).unwrap();

        // The client's side.
        let mut seen = 0;
        while let Chunked::Message { start, end, consumed } =
            dechunker.next(answer.read_slice_mut(), 1 << 20).unwrap()
        {
            let body = &answer.read_slice()[start..end];
            if Response::is_record(body) {
                pending.answer(AnswerKind::Record).unwrap();
                seen += 1;
            } else {
                let Response::Success(metadata) = Response::parse(body, version, false, &mut walker).unwrap()
                else {
                    panic!()
                };
                if pending.answer(AnswerKind::Success).unwrap().request == bolt_wire::request::RequestTag::Run
                {
                    RunSuccess::read(metadata, &mut fields, &Limits::DEFAULT).unwrap();
                } else {
                    let Ok(PullSuccess::Done(metadata)) = PullSuccess::read(metadata) else { panic!() };
                    summary.fill(metadata, ResultFacts::default());
                    assert_eq!(summary.database(), Some("neo4j"));
                }
            }
            answer.consume(consumed);
        }
        assert_eq!((seen, pending.len()), (records, 0));
    };
    for _ in 0..10 {
        query(100);
    }
    assert_no_alloc(|| (0..200).for_each(|_| query(100)));
}
