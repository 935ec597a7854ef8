//! The embedded graph over real Bolt: data comes and goes, transactions hold, files last, several clients get along.

use bolt_client::{Auth, Config, Connection, Error, RunOptions, TxOptions};
use bolt_wire::Value;

use crate::support::{SECRET, Server, done};

fn connect(server: &Server) -> Connection {
    let config = Config::from_uri(&server.uri).expect("an address").auth(Auth::basic("neo4j", SECRET));
    Connection::connect(&config).expect("connected")
}

/// The records of a query, as owned values.
fn rows(
    connection: &mut Connection,
    query: &str,
    params: Vec<(&str, Value)>,
) -> Result<Vec<Vec<Value>>, Error> {
    let mut rows = connection.run(query, params)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(row.to_values()?);
    }
    rows.finish()?;
    Ok(all)
}

fn count(connection: &mut Connection) -> Value {
    rows(connection, "MATCH (n) RETURN count(n) AS n", vec![]).expect("a count")[0][0].clone()
}

fn code(error: &Error) -> String {
    error.failure().map(|f| f.code.clone()).unwrap_or_else(|| panic!("{error}"))
}

#[test]
fn create_read_update_delete() {
    let server = Server::start(&[]);
    let mut c = connect(&server);
    let made = rows(
        &mut c,
        "CREATE (p:Person:Pioneer {name: $name, born: 1815}) RETURN p",
        vec![("name", "Ada".into())],
    );
    let made = made.expect("created");
    let Value::Node(node) = &made[0][0] else { panic!("{made:?}") };
    assert_eq!(node.labels, ["Person", "Pioneer"]);
    assert_eq!(node.properties.get("name"), Some(&Value::String("Ada".into())));
    assert!(node.element_id.is_some());

    rows(&mut c, "MATCH (a:Person) CREATE (a)-[:MADE {year: 1843}]->(:Work {name: 'Notes'})", vec![])
        .expect("created");
    let found = rows(&mut c, "MATCH p = (:Person)-[r:MADE]->(w) RETURN r, w.name, p", vec![]).expect("found");
    let [Value::Relationship(r), Value::String(work), Value::Path(path)] = &found[0][..] else {
        panic!("{found:?}")
    };
    assert_eq!((r.rel_type.as_str(), work.as_str(), path.nodes.len()), ("MADE", "Notes", 2));
    assert_eq!(r.start_id, node.id);

    rows(&mut c, "MATCH (p:Person) SET p.born = p.born + 1", vec![]).expect("set");
    assert_eq!(rows(&mut c, "MATCH (p:Person) RETURN p.born", vec![]).expect("read"), [[Value::Int(1_816)]]);
    let refused = rows(&mut c, "MATCH (p:Person) DELETE p", vec![]).expect_err("it has relationships");
    assert_eq!(code(&refused), "Neo.ClientError.Schema.ConstraintValidationFailed");
    rows(&mut c, "MATCH (n) DETACH DELETE n", vec![]).expect("deleted");
    assert_eq!(count(&mut c), Value::Int(0));
}

#[test]
fn values_go_there_and_come_back() {
    let server = Server::start(&[]);
    let mut c = connect(&server);
    for value in [
        Value::Null,
        Value::Int(i64::MIN),
        Value::Float(0.1),
        Value::String("größe\u{0}😀".repeat(2_000)),
        Value::List((0..300_i64).map(Value::Int).collect()),
        Value::Map(bolt_wire::Map::from([("a", Value::Int(1)), ("b", Value::List(vec![Value::Null]))])),
        Value::Date(bolt_wire::Date { days: -1 }),
        Value::DateTime(bolt_wire::DateTime::new(4_500, 42, 3_600)),
        Value::Duration(bolt_wire::Duration { months: 1, days: 2, seconds: -1, nanoseconds: 500_000_000 }),
    ] {
        assert_eq!(rows(&mut c, "RETURN $x AS x", vec![("x", value.clone())]).expect("returned"), [[value]]);
    }
    let refused = rows(&mut c, "RETURN $x AS x", vec![("x", Value::Bytes(vec![1]))]).expect_err("bytes");
    assert_eq!(code(&refused), "Neo.ClientError.Statement.TypeError");
    // The connection has survived the refusal.
    assert_eq!(rows(&mut c, "RETURN 1", vec![]).expect("alive"), [[Value::Int(1)]]);
}

#[test]
fn deep_and_wide_parameters() {
    let server = Server::start(&[]);
    let mut c = connect(&server);
    let mut deep = Value::Int(7);
    for _ in 0..900 {
        deep = Value::List(vec![deep]);
    }
    assert_eq!(rows(&mut c, "RETURN $x AS x", vec![("x", deep.clone())]).expect("returned"), [[deep]]);
    let wide: Vec<Value> = (0..50_000_i64).map(Value::Int).collect();
    let sum = rows(&mut c, "UNWIND $x AS x RETURN sum(x)", vec![("x", Value::List(wide))]).expect("summed");
    assert_eq!(sum, [[Value::Int(49_999 * 25_000)]]);
}

#[test]
fn transactions() {
    let server = Server::start(&[]);
    let (mut one, mut two) = (connect(&server), connect(&server));
    let mut tx = one.begin(&TxOptions::default()).expect("begun");
    let cursor = tx.run("CREATE (n:T) RETURN n", ()).expect("run");
    assert!(tx.next(cursor).expect("a record").is_some());
    tx.finish(cursor).expect("finished");
    assert_eq!(count(&mut two), Value::Int(0), "another client must not see it yet");
    tx.rollback().expect("rolled back");
    assert_eq!(count(&mut one), Value::Int(0));

    let mut tx = one.begin(&TxOptions::default()).expect("begun");
    for _ in 0..3 {
        let cursor = tx.run("CREATE (:T)", ()).expect("run");
        tx.finish(cursor).expect("finished");
    }
    tx.commit().expect("committed");
    assert_eq!(count(&mut two), Value::Int(3));

    // A failure ends the transaction and undoes what came before it.
    let mut tx = one.begin(&TxOptions::default()).expect("begun");
    let cursor = tx.run("CREATE (:T)", ()).expect("run");
    tx.finish(cursor).expect("finished");
    let refused = tx.run("RETURN 1/0", ()).and_then(|cursor| tx.finish(cursor)).expect_err("refused");
    assert_eq!(code(&refused), "Neo.ClientError.Statement.ArithmeticError");
    drop(tx);
    assert_eq!(count(&mut one), Value::Int(3));
}

#[test]
fn read_access_does_not_write() {
    let server = Server::start(&[]);
    let mut c = connect(&server);
    let outcome = c.run_with("CREATE (:T)", (), &RunOptions::read_only()).and_then(|rows| rows.finish());
    assert_eq!(code(&outcome.expect_err("refused")), "Neo.ClientError.Statement.AccessMode");
    assert_eq!(count(&mut c), Value::Int(0));
    let done = done(&mut server.run(&["--read", "CREATE (:T)"]));
    assert!(done.code() == 1 && done.err.contains("--read"), "{done:?}");
}

#[test]
fn many_clients_write_at_once() {
    let server = Server::start(&[]);
    std::thread::scope(|scope| {
        for client in 0..4_i64 {
            let server = &server;
            scope.spawn(move || {
                let mut c = connect(server);
                for i in 0..10_i64 {
                    rows(&mut c, "CREATE (:T {c: $c, i: $i})", vec![("c", client.into()), ("i", i.into())])
                        .expect("created");
                    rows(&mut c, "MATCH (n:T {c: $c}) RETURN count(n)", vec![("c", client.into())])
                        .expect("read");
                }
            });
        }
    });
    assert_eq!(count(&mut connect(&server)), Value::Int(40));
}

#[test]
fn a_kept_graph_is_there_again_after_a_restart() {
    let path = std::env::temp_dir().join(format!("bolt-it-graph-{}", std::process::id()));
    let words = ["--data", path.to_str().expect("a path")];
    let server = Server::start(&words);
    rows(&mut connect(&server), "CREATE (:Kept {n: 7})", vec![]).expect("created");
    // Killed, not stopped: what was committed must be there all the same.
    drop(server);
    let server = Server::start(&words);
    assert_eq!(server.json("MATCH (k:Kept) RETURN k.n AS n"), "{\"n\":7}\n");
    drop(server);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
}

#[cfg(unix)]
#[test]
fn a_server_stops_although_a_statement_cannot() {
    let mut server = Server::start(&[]);
    // A million million rows to count: days, and nothing in the engine to interrupt them by.
    let query = "UNWIND range(1, 1000000) AS a UNWIND range(1, 1000000) AS b RETURN count(*)";
    let client = crate::support::start(&mut server.run(&[query]));
    std::thread::sleep(std::time::Duration::from_millis(500));
    let pid = server.guard.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
    assert_eq!(server.guard.wait().code(), Some(0));
    assert_eq!(crate::support::finish(client).code(), 1);
}

#[test]
fn a_file_that_is_no_graph_is_refused_at_the_start() {
    let path = std::env::temp_dir().join(format!("bolt-it-foreign-{}", std::process::id()));
    std::fs::write(&path, "no graph ".repeat(200)).expect("a file");
    let done = done(&mut crate::support::bolt(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        path.to_str().expect("a path"),
    ]));
    assert_eq!(done.code(), 1);
    assert!(done.err.contains("cannot be used"), "{done:?}");
    assert_eq!(std::fs::read_to_string(&path).expect("untouched"), "no graph ".repeat(200));
    std::fs::remove_file(&path).expect("removed");
}

#[test]
fn one_server_serves_the_streams_too() {
    let server = Server::start(&[]);
    let out = server.json("CALL generate.scalars(3)");
    assert_eq!(out.lines().count(), 3);
    assert!(out.starts_with("{\"id\":0,\"score\":0.25,\"name\":"), "{out}");
}

#[test]
fn columns_of_an_empty_result_and_positions_of_errors() {
    let server = Server::start(&[]);
    let table = done(&mut server.run(&["MATCH (n:Nobody) RETURN n.name AS name, n.born"])).ok();
    assert!(table.contains("| name | n.born |"), "{table}");
    let done = done(&mut server.run(&["MATCH (n) RETURN m"]));
    assert_eq!(done.code(), 1);
    assert!(
        done.err.contains("Neo.ClientError.Statement.SyntaxError: variable `m` is not defined"),
        "{}",
        done.err
    );
    assert!(
        done.err.contains("(line 1, column 18 (offset: 17))") && done.err.contains("hint: mend the query"),
        "{}",
        done.err
    );
}

#[test]
fn parameters_of_the_command_line_stay_exact() {
    let server = Server::start(&[]);
    let words = [
        "--format",
        "json",
        "--param",
        "i=9007199254740993",
        "--param",
        "m={\"b\": [1, 2.0, null], \"a\": \"x\\u00e9\"}",
        "RETURN $i AS i, $m.b AS list, $m.a AS text",
    ];
    let out = done(&mut server.run(&words)).ok();
    assert_eq!(out, "{\"i\":9007199254740993,\"list\":[1,2.0,null],\"text\":\"xé\"}\n");
    let missing = done(&mut server.run(&["RETURN $x"]));
    assert!(missing.err.contains("ParameterMissing") && missing.err.contains("--param"), "{}", missing.err);
}

#[cfg(not(debug_assertions))]
#[test]
fn the_demonstration_keeps_its_promises() {
    let began = std::time::Instant::now();
    let out = done(&mut crate::support::bolt(&["demo"])).ok();
    assert!(out.contains("promises    kept") && out.contains("Analytical Engine"), "{out}");
    assert!(began.elapsed().as_secs() < 20, "it took {:?}", began.elapsed());
}
