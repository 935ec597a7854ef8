//! What a record costs: no allocation in any streaming format, and memory that does not know how long the result is.

use crate::support::{Done, Server, done};

/// The most memory `bolt run` may have resident.
const PEAK_RSS_KIB_MAX: f64 = 8_192.0;

fn run(server: &Server, format: &str, fetch: &str, query: &str) -> Done {
    let done = done(&mut server.run(&["--format", format, "--fetch-size", fetch, "--stats", query]));
    assert_eq!(done.code(), 0, "{}", done.err);
    done
}

#[test]
fn no_allocation_per_record_in_any_streaming_format() {
    let server = Server::start(&["--generated"]);
    for shape in ["scalars", "nodes", "lists", "mixed"] {
        for format in ["null", "json", "csv"] {
            // A million would do no more than this and take long in a debug build.
            let done = run(&server, format, "1000", &format!("CALL generate.{shape}(20000)"));
            assert_eq!(done.stat("records"), 20_000.0);
            let allocations = done.stat("allocations");
            assert!(allocations <= 40.0, "{shape} as {format}: {allocations} allocations in 20,000 records");
        }
    }
}

#[test]
fn allocations_and_memory_do_not_grow_with_the_result() {
    let server = Server::start(&["--generated"]);
    for fetch in ["100", "1000", "all"] {
        let short = run(&server, "null", fetch, "CALL generate.scalars(20000)");
        let long = run(&server, "null", fetch, "CALL generate.scalars(200000)");
        assert!(long.stat("allocations") <= short.stat("allocations") + 8.0, "{}{}", short.err, long.err);
        assert!(long.stat("bytes") > 9.0 * short.stat("bytes"));
        if cfg!(target_os = "linux") {
            let kib = long.stat("peak_rss_kib");
            // A debug build maps more of itself; the release bar is checked by `bolt demo` too.
            let most = if cfg!(debug_assertions) { 2.0 * PEAK_RSS_KIB_MAX } else { PEAK_RSS_KIB_MAX };
            assert!(kib <= most, "PULL {fetch}: {kib} KiB resident");
        }
    }
}

#[test]
fn a_table_holds_a_window_and_not_the_result() {
    let server = Server::start(&["--generated"]);
    let done = run(&server, "table", "1000", "CALL generate.scalars(50000)");
    assert!(done.stat("allocations") <= 100.0, "{}", done.err);
    assert_eq!(done.out.lines().count(), 50_000 + 5);
}
