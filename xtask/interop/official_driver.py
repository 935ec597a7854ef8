"""The official Python driver against `bolt serve`: what a user of any Neo4j driver would see.

Usage: official_driver.py generated|embedded HOST:PORT USER PASSWORD
Prints one line a check; exits 1 when one fails. Needs the `neo4j` package; `cargo xtask interop` installs it in a
virtual environment of its own.
"""

import math
import sys
import time
import traceback
import uuid

import neo4j
from neo4j import GraphDatabase, Query
from neo4j.exceptions import AuthError, ClientError, Neo4jError
from neo4j.spatial import CartesianPoint, WGS84Point
from neo4j.time import Date, DateTime, Duration, Time
from neo4j.vector import Vector

MODE, ADDRESS, USER, PASSWORD = sys.argv[1:5]
URI = f"bolt://{ADDRESS}"
CHECKS = []


def check(*modes):
    def register(function):
        if MODE in modes:
            CHECKS.append(function)
        return function

    return register


def open_driver(**more):
    return GraphDatabase.driver(URI, auth=(USER, PASSWORD), **more)


@check("generated", "embedded")
def connects_and_names_itself(driver):
    driver.verify_connectivity()
    info = driver.get_server_info()
    assert info.agent, info
    version = tuple(info.protocol_version)
    assert version >= (5, 8), f"expected the newest Bolt version both know, got {version}"


@check("generated", "embedded")
def wrong_password_is_an_auth_error(_driver):
    with GraphDatabase.driver(URI, auth=(USER, "not-" + PASSWORD)) as other:
        try:
            other.verify_connectivity()
        except AuthError:
            return
    raise AssertionError("a wrong password was accepted")


@check("generated", "embedded")
def return_one(driver):
    records, summary, keys = driver.execute_query("RETURN 1 AS n")
    assert keys == ["n"] and [r["n"] for r in records] == [1]
    assert summary.query_type == "r", summary.query_type


@check("generated", "embedded")
def a_syntax_error_names_its_code_and_the_session_lives(driver):
    with driver.session() as session:
        try:
            session.run("THIS IS NO QUERY").consume()
        except ClientError as error:
            assert error.code == "Neo.ClientError.Statement.SyntaxError", error.code
        else:
            raise AssertionError("nonsense was accepted")
        assert session.run("RETURN 2 AS n").single()["n"] == 2


ECHOED = {
    "null": None,
    "true": True,
    "false": False,
    "integers": [0, 1, -1, -16, -17, 127, 128, -128, -129, 32767, 32768, -32768, -32769,
                 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63 - 1, -(2**63)],
    "floats": [0.0, -0.0, 1.5, -1.1, 1e308, 5e-324, math.inf, -math.inf],
    "strings": ["", "a", "größe", "x" * 15, "x" * 16, "x" * 255, "x" * 256, "y" * 65535, "z" * 65536, "\u0000", "😀"],
    "list sizes": [[0] * n for n in (0, 1, 15, 16, 255, 256, 65535, 65536)],
    "map sizes": [{f"k{i}": i for i in range(n)} for n in (0, 1, 15, 16, 255, 256, 70000)],
    "nested": {"a": [{"b": [[], {}, [None, {"c": 1.0}]]}]},
}
ECHOED_WIRE_ONLY = {
    "bytes": [b"", b"\x00", bytes(255), bytes(256), bytes(65536)],
    "date": [Date(2024, 2, 29), Date(1, 1, 1), Date(9999, 12, 31)],
    "time": [Time(1, 2, 3, 4)],
    "datetime": [DateTime(2024, 5, 6, 7, 8, 9, 123456789)],
    "duration": [Duration(months=1, days=2, seconds=3, nanoseconds=4), Duration(seconds=-1, nanoseconds=500_000_000)],
    "points": [CartesianPoint((1.0, 2.0)), CartesianPoint((1.0, 2.0, 3.0)), WGS84Point((12.5, 55.5))],
    "300 deep": None,
}


def echo(driver, value):
    records, _, _ = driver.execute_query("RETURN $x AS x", x=value)
    return records[0]["x"]


@check("generated", "embedded")
def every_plain_type_comes_back(driver):
    for name, value in ECHOED.items():
        back = echo(driver, value)
        assert back == value, f"{name}: sent {str(value)[:80]}, got {str(back)[:80]}"
    assert math.isnan(echo(driver, math.nan))


@check("generated")
def every_structured_type_comes_back(driver):
    deep = 1
    for _ in range(300):
        deep = [deep]
    for name, value in ECHOED_WIRE_ONLY.items():
        value = deep if name == "300 deep" else value
        back = echo(driver, value)
        assert back == value, f"{name}: sent {str(value)[:80]}, got {str(back)[:80]}"
    import pytz

    zoned = pytz.timezone("Europe/Paris").localize(DateTime(2024, 5, 6, 7, 8, 9).to_native())
    assert echo(driver, zoned).to_native() == zoned


@check("generated")
def vectors_and_uuids_come_back(driver):
    for dtype, values in (("i8", [1, -2, 3]), ("i16", [1, -2]), ("i32", [7]), ("i64", [2**62]), ("f32", [1.0, -2.0]), ("f64", [0.1])):
        vector = Vector(values, dtype)
        back = echo(driver, vector)
        assert isinstance(back, Vector), back
        assert (back.dtype, back.to_native()) == (vector.dtype, vector.to_native()), (vector, back)
    known = uuid.UUID("550e8400-e29b-41d4-a716-446655440000")
    if driver.get_server_info().protocol_version >= (6, 1):
        assert echo(driver, known) == known


@check("generated")
def two_hundred_thousand_scalars_stream(driver):
    with driver.session() as session:
        seen = sum(1 for _ in session.run("CALL generate.scalars(200000)"))
    assert seen == 200_000, seen


@check("generated")
def nodes_have_labels_ids_and_five_properties(driver):
    records, _, _ = driver.execute_query("CALL generate.nodes(2500)")
    assert len(records) == 2500
    for record in records:
        node = record[0]
        assert isinstance(node, neo4j.graph.Node) and node.element_id and node.labels and len(node) == 5, node


@check("generated")
def lists_have_a_hundred_integers(driver):
    records, _, _ = driver.execute_query("CALL generate.lists($n)", n=3000)
    assert len(records) == 3000 and all(len(r[0]) == 100 and all(type(v) is int for v in r[0]) for r in records)


@check("generated")
def mixed_records_decode(driver):
    records, _, _ = driver.execute_query("CALL generate.mixed(2000)")
    assert len(records) == 2000


@check("generated")
def a_failure_in_mid_stream_comes_after_its_rows(driver):
    with driver.session() as session:
        result, seen = session.run("CALL generate.failing(5000, 3999)"), 0
        try:
            for _ in result:
                seen += 1
        except Neo4jError as error:
            assert error.code == "Neo.ClientError.Statement.ArithmeticError", error.code
        else:
            raise AssertionError("the stream did not fail")
        assert seen == 3999, seen
        assert session.run("RETURN 3 AS n").single()["n"] == 3


@check("generated")
def half_a_result_thrown_away_leaves_the_session_right(driver):
    with driver.session(fetch_size=10) as session:
        result = session.run("CALL generate.scalars(100000)")
        for _ in range(15):
            next(result)
        result.consume()
        assert session.run("RETURN 4 AS n").single()["n"] == 4


@check("generated", "embedded")
def two_results_open_in_one_transaction(driver):
    query = "CALL generate.scalars(50)" if MODE == "generated" else "UNWIND range(1, 50) AS x RETURN x"
    with driver.session(fetch_size=7) as session, session.begin_transaction() as tx:
        one, two = tx.run(query), tx.run(query)
        pairs = list(zip(iter(two), iter(one)))
        assert len(pairs) == 50 and all(a.values() == b.values() for a, b in pairs)
        tx.commit()


@check("embedded")
def writes_are_read_back(driver):
    _, summary, _ = driver.execute_query("CREATE (a:PyCheck {name: 'Ada'})-[:KNOWS {since: 1840}]->(b:PyCheck {name: 'Charles'})")
    if not summary.counters.contains_updates:
        print("python-driver embedded unsupported: summary counters (the graph engine does not count its changes)")
    else:
        counters = summary.counters
        assert counters.nodes_created == 2 and counters.relationships_created == 1, counters
    records, _, _ = driver.execute_query("MATCH p = (a:PyCheck)-[r:KNOWS]->(b) RETURN a, r, b, p")
    record = records[0]
    assert record["a"]["name"] == "Ada" and record["r"].type == "KNOWS" and record["r"]["since"] == 1840
    assert record["p"].start_node == record["a"] and record["p"].end_node == record["b"]


@check("embedded")
def a_rollback_leaves_nothing(driver):
    with driver.session() as session:
        tx = session.begin_transaction()
        tx.run("CREATE (:PyGone)")
        tx.rollback()
        assert session.run("MATCH (n:PyGone) RETURN count(n) AS n").single()["n"] == 0


@check("embedded")
def managed_transactions_and_bookmarks(driver):
    with driver.session() as session:
        session.execute_write(lambda tx: tx.run("CREATE (:PyKept {n: 1})").consume())
        count = session.execute_read(lambda tx: tx.run("MATCH (n:PyKept) RETURN count(n) AS c").single()["c"])
        assert count == 1, count


@check("embedded")
def cleans_up(driver):
    for label in ("PyCheck", "PyKept"):
        driver.execute_query(f"MATCH (n:{label}) DETACH DELETE n")


@check("generated", "embedded")
def a_query_timeout_or_metadata_is_accepted(driver):
    with driver.session() as session:
        assert session.run(Query("RETURN 5 AS n", timeout=30.0, metadata={"app": "check"})).single()["n"] == 5


def main():
    failed = 0
    with open_driver() as driver:
        for function in CHECKS:
            began = time.monotonic()
            try:
                function(driver)
                outcome = "ok"
            except Exception:  # noqa: BLE001  (every failure is reported, none ends the run)
                failed += 1
                outcome = "FAILED"
                traceback.print_exc()
            print(f"python-driver {MODE} {function.__name__} {outcome} {time.monotonic() - began:.2f}s", flush=True)
    print(f"{len(CHECKS) - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)


main()
