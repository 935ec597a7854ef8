//! What a driver does between queries: LOGOFF and LOGON, TELEMETRY, ROUTE; each against our own server, and their bytes against a script.

use bolt_client::{
    Auth, CancelHandle, Config, Connection, ErrorKind, Reason, RouteOptions, RunOptions, TelemetryApi,
    TxOptions, Version,
};
use bolt_server::generated::GeneratedBackend;
use bolt_server::{Credentials, RunningServer, ServerConfig};

use crate::peer::*;

fn serve() -> RunningServer {
    let mut config = ServerConfig::default();
    config.advertised_address = Some("db.example:7688".to_owned());
    config.failed_login_delay = std::time::Duration::from_millis(1);
    let backend = GeneratedBackend::new(Credentials::user("neo4j", "secret"));
    bolt_server::Server::bind("127.0.0.1:0", config, backend).unwrap().spawn().unwrap()
}

fn connect(server: &RunningServer, version: Version) -> Connection {
    let address = server.handle().local_addr();
    let config = Config::new(address.ip().to_string(), address.port())
        .auth(Auth::basic("neo4j", "secret"))
        .routing([("address".to_owned(), "seed:7687".to_owned())])
        .only_version(version)
        .unwrap();
    Connection::connect(&config).unwrap()
}

fn answer(conn: &mut Connection) -> i64 {
    let mut rows = conn.run("RETURN 42", ()).unwrap();
    let answer = rows.next().unwrap().unwrap().get(0).unwrap();
    assert!(rows.next().unwrap().is_none());
    answer
}

#[test]
fn a_routing_table_comes_on_every_version() {
    let server = serve();
    for &version in Version::SUPPORTED {
        let mut conn = connect(&server, version);
        let mut options = RouteOptions {
            context: vec![("address".into(), "seed:7687".into()), ("region".into(), "eu".into())],
            ..RouteOptions::default()
        };
        for database in [None, Some("neo4j".to_owned())] {
            options.database = database;
            let table = conn.route(&options).unwrap();
            let at = ["db.example:7688".parse().unwrap()];
            assert_eq!(
                (&table.routers[..], &table.readers[..], &table.writers[..]),
                (&at[..], &at[..], &at[..])
            );
            assert_eq!(table.ttl_seconds, 300);
            assert_eq!(table.db.is_some(), version >= Version::V4_4, "{version}");
        }
        // A database nobody has is the server's refusal; the connection lives.
        options.database = Some("nobody's".to_owned());
        let error = conn.route(&options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server, "{error}");
        assert_eq!(error.failure().unwrap().code, "Neo.ClientError.Database.DatabaseNotFound");
        // So is an impersonated user, whom older versions cannot even name.
        options.database = None;
        options.impersonate = Some("alice".to_owned());
        let error = conn.route(&options).unwrap_err();
        let refused_by = if version >= Version::V4_4 { ErrorKind::Server } else { ErrorKind::Caller };
        assert_eq!(error.kind(), refused_by, "{version}: {error}");
        // What was left half-way before is dealt with, and nothing stays behind.
        let mut rows = conn.run_with("CALL generate.scalars(100000)", (), &RunOptions::read_only()).unwrap();
        rows.next().unwrap().unwrap();
        options.impersonate = None;
        conn.route(&options).unwrap();
        assert!(conn.is_clean());
        assert_eq!(answer(&mut conn), 42);
        let mut tx = conn.begin(&TxOptions::default()).unwrap();
        tx.run("RETURN 1", ()).unwrap();
        tx.commit().unwrap();
    }
    server.shutdown();
}

#[test]
fn another_user_takes_over_in_the_flight_of_the_next_query() {
    let server = serve();
    for &version in Version::SUPPORTED {
        let mut conn = connect(&server, version);
        if version < Version::V5_1 {
            for error in [conn.logoff().unwrap_err(), conn.logon(&Auth::None).unwrap_err()] {
                assert_eq!(error.reason(), Reason::InvalidArgument);
                assert!(error.to_string().contains("5.1"), "{error}");
            }
            assert_eq!(answer(&mut conn), 42);
            continue;
        }
        let error = conn.logon(&Auth::basic("neo4j", "secret")).unwrap_err();
        assert!(error.to_string().contains("logoff()"), "{error}");
        let writes = conn.stats().writes;
        conn.logoff().unwrap();
        assert!(conn.logoff().unwrap_err().to_string().contains("logon()"));
        for error in [
            conn.run("RETURN 1", ()).map(drop).unwrap_err(),
            conn.begin(&TxOptions::default()).map(drop).unwrap_err(),
            conn.route(&RouteOptions::default()).map(drop).unwrap_err(),
        ] {
            assert_eq!(error.reason(), Reason::InvalidArgument, "{error}");
            assert!(error.is_connection_usable() && error.to_string().contains("logon()"), "{error}");
        }
        conn.logon(&Auth::basic("neo4j", "secret")).unwrap();
        assert!(!conn.is_clean(), "two requests wait");
        assert_eq!(answer(&mut conn), 42);
        assert_eq!(conn.stats().writes, writes + 1, "LOGOFF, LOGON, RUN and PULL are one write");
        assert!(conn.is_clean());
        // With BEGIN, and alone.
        conn.logoff().unwrap();
        conn.logon(&Auth::basic("neo4j", "secret")).unwrap();
        conn.begin(&TxOptions::default()).unwrap().commit().unwrap();
        conn.logoff().unwrap();
        conn.settle().unwrap();
        assert!(conn.is_clean());
        conn.logon(&Auth::basic("neo4j", "secret")).unwrap();
        conn.settle().unwrap();
        assert_eq!(answer(&mut conn), 42);
        // A query that cannot be sent takes nothing with it.
        conn.logoff().unwrap();
        conn.logon(&Auth::basic("neo4j", "secret")).unwrap();
        assert!(conn.run("RETURN $x", [("x", u64::MAX)]).is_err());
        assert!(!conn.is_clean());
        assert_eq!(answer(&mut conn), 42);
        // The wrong word ends the connection, and the error is the login's.
        conn.logoff().unwrap();
        conn.logon(&Auth::basic("neo4j", "wrong")).unwrap();
        let error = conn.run("RETURN 1", ()).map(drop).unwrap_err();
        assert_eq!(error.failure().unwrap().code, "Neo.ClientError.Security.Unauthorized");
        assert!(!error.is_connection_usable() && !conn.is_usable(), "{error}");
    }
    server.shutdown();
}

#[test]
fn telemetry_goes_before_what_it_tells_of() {
    let server = serve();
    for &version in Version::SUPPORTED {
        let mut conn = connect(&server, version);
        if version < Version::V5_4 {
            let error = conn.telemetry(TelemetryApi::AutoCommit).unwrap_err();
            assert_eq!(error.reason(), Reason::InvalidArgument);
            assert!(error.to_string().contains("5.4"), "{error}");
            continue;
        }
        let writes = conn.stats().writes;
        conn.telemetry(TelemetryApi::AutoCommit).unwrap();
        assert_eq!(answer(&mut conn), 42);
        assert_eq!(conn.stats().writes, writes + 1);
        conn.telemetry(TelemetryApi::ExplicitTransaction).unwrap();
        conn.begin(&TxOptions::default()).unwrap().rollback().unwrap();
        conn.telemetry(TelemetryApi::ExecuteQuery).unwrap();
        conn.settle().unwrap();
        assert!(conn.is_clean());
        // There is an end to what may wait.
        let error = (0..1_000).find_map(|_| conn.telemetry(TelemetryApi::AutoCommit).err()).unwrap();
        assert_eq!(error.reason(), Reason::Limit, "{error}");
        assert_eq!(answer(&mut conn), 42);
    }
    server.shutdown();
}

#[test]
fn the_requests_stand_in_order_and_a_reset_overtakes_none() {
    let (sender, receiver) = std::sync::mpsc::channel::<CancelHandle>();
    let server = Server::one(move |peer| {
        peer.login();
        peer.expect(LOGOFF);
        assert!(peer.expect(LOGON).contains(b"alice"));
        assert_eq!(peer.expect(TELEMETRY).body, [0xB1, TELEMETRY, 1]);
        peer.expect(BEGIN);
        // A cancel now must wait: real servers close when RESET overtakes LOGOFF or BEGIN.
        receiver.recv().unwrap().cancel().unwrap();
        peer.send(&[success(&[]), success(&[]), success(&[])]);
        peer.expect_silence(std::time::Duration::from_millis(50), "nothing may overtake BEGIN");
        peer.send(&[success(&[])]);
        peer.expect(RESET);
        peer.send(&[success(&[])]);
        peer.expect_close();
    });
    let mut conn = server.connect();
    sender.send(conn.cancel_handle()).unwrap();
    conn.logoff().unwrap();
    conn.logon(&Auth::basic("alice", "secret")).unwrap();
    conn.telemetry(TelemetryApi::ExplicitTransaction).unwrap();
    let error = conn.begin(&TxOptions::default()).and_then(|mut tx| tx.run("q", ()).map(drop)).unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    conn.settle().unwrap();
    drop(conn);
    server.join();
}

#[test]
fn a_server_that_refuses_telemetry_is_told_of_and_a_bad_table_is_no_table() {
    let server = Server::one(|peer| {
        peer.login();
        peer.expect(TELEMETRY);
        peer.run_and_pull();
        peer.send(&[failure("Neo.ClientError.Request.Invalid", "no"), ignored(), ignored()]);
        peer.expect(RESET);
        peer.expect(ROUTE);
        let alone = map(&[("addresses", list(&[text("h:0")])), ("role", text("READ"))]);
        let rt = map(&[("ttl", int(300)), ("servers", list(&[alone]))]);
        peer.send(&[success(&[]), success(&[("rt", rt)])]);
        peer.expect_close();
    });
    let mut conn = server.connect();
    conn.telemetry(TelemetryApi::AutoCommit).unwrap();
    let error = conn.run("q", ()).map(drop).unwrap_err();
    assert_eq!(error.failure().unwrap().message, "no", "{error}");
    assert!(error.is_connection_usable());
    let error = conn.route(&RouteOptions::default()).unwrap_err();
    assert_eq!(error.reason(), Reason::Malformed);
    assert!(error.to_string().contains("host:port"), "{error}");
    assert!(!conn.is_usable());
    drop(conn);
    server.join();
}
