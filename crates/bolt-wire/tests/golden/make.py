#!/usr/bin/env python3
"""Writes what the official Python driver sends, message by message, as the golden file beside this script.

    python3 -m venv v && v/bin/pip install neo4j==6.4.1 && v/bin/python make.py > driver-6.4.1.txt

The driver's own connection classes encode; only the socket is replaced. One line per message: version, name, body in hexadecimal.
"""

import sys

import neo4j
from neo4j._sync.io._bolt import _bolt4, _bolt5, _bolt6


class Socket:
    """Keeps what is sent, answers nothing."""

    def __init__(self):
        self.sent = bytearray()

    def sendall(self, data):
        self.sent += data

    def getsockname(self):
        return ("127.0.0.1", 1)

    getpeername = getsockname

    def __getattr__(self, _):
        return lambda *args, **kwargs: None


def bodies(stream):
    """The messages of a chunked stream."""
    body, at = b"", 0
    while at < len(stream):
        size = int.from_bytes(stream[at : at + 2], "big")
        at += 2
        if size:
            body += stream[at : at + size]
            at += size
        elif body:
            yield bytes(body)
            body = b""


CLASSES = {
    "4.0": _bolt4.Bolt4x0,
    "4.1": _bolt4.Bolt4x1,
    "4.2": _bolt4.Bolt4x2,
    "4.3": _bolt4.Bolt4x3,
    "4.4": _bolt4.Bolt4x4,
    "5.0": _bolt5.Bolt5x0,
    "5.1": _bolt5.Bolt5x1,
    "5.2": _bolt5.Bolt5x2,
    "5.3": _bolt5.Bolt5x3,
    "5.4": _bolt5.Bolt5x4,
    "5.6": _bolt5.Bolt5x6,
    "5.7": _bolt5.Bolt5x7,
    "5.8": _bolt5.Bolt5x8,
    "6.0": _bolt6.Bolt6x0,
    "6.1": _bolt6.Bolt6x1,
}


def connection(version, **config):
    made = CLASSES[version](
        neo4j.Address(("localhost", 7687)),
        Socket(),
        10_000,
        auth=neo4j.basic_auth("neo4j", "secret"),
        user_agent="demo/1",
        **config,
    )
    # Every state is allowed: what is wanted is bytes, not a conversation.
    for name in ("_client_state_manager", "_server_state_manager"):
        getattr(made, name).transition = lambda *args, **kwargs: None
    made.fetch_all = made.fetch_message = lambda *args, **kwargs: None
    return made


def show(version, name, conn):
    conn.send_all()
    for body in bodies(conn.socket.sent):
        # From 5.1 on the driver sends LOGON along with HELLO.
        print(version, "logon" if body[1] == 0x6A else name, body.hex())
    conn.socket.sent.clear()


def main():
    # The driver's name is not ours; what is compared is the encoding.
    agent = {"product": "bs/1", "platform": "p", "language": "Rust", "language_details": "d"}
    _bolt5.BOLT_AGENT_DICT = _bolt6.BOLT_AGENT_DICT = agent
    # Nothing is said when a connection is thrown away.
    neo4j._sync.io.Bolt.__del__ = lambda _: None
    for version in CLASSES:
        number = tuple(map(int, version.split(".")))
        plain = connection(version)
        plain.hello()
        show(version, "hello", plain)
        routed = connection(version, routing_context={"region": "eu", "address": "h:7687"})
        routed.hello()
        show(version, "hello-routed", routed)
        if number >= (5, 2):
            filtered = connection(
                version,
                notifications_min_severity="WARNING",
                notifications_disabled_classifications=["HINT", "GENERIC"],
            )
            filtered.hello()
            show(version, "hello-filtered", filtered)
        conn = connection(version)
        if number >= (5, 1):
            conn.logon()
            show(version, "logon", conn)
            conn.logoff()
            show(version, "logoff", conn)
        conn.run("RETURN $x AS x", {"x": 1})
        show(version, "run", conn)
        extra = {
            "mode": "r",
            "bookmarks": ["b1", "b2"],
            "metadata": {"app": "demo"},
            "timeout": 1.5,
            "db": "neo4j",
        }
        if number >= (4, 4):
            extra["imp_user"] = "alice"
        if number >= (5, 2):
            extra["notifications_min_severity"] = "OFF"
            extra["notifications_disabled_classifications"] = ["SCHEMA"]
        conn.run("RETURN 1", {"a": [1, 2.5, "three", None, True, b"\x01\x02"], "n": 2**40}, **extra)
        show(version, "run-extra", conn)
        conn.begin(**extra)
        show(version, "begin", conn)
        conn.pull(n=1000)
        show(version, "pull", conn)
        conn.pull(n=-1, qid=3)
        show(version, "pull-qid", conn)
        conn.discard(n=-1)
        show(version, "discard", conn)
        conn.commit()
        show(version, "commit", conn)
        conn.rollback()
        show(version, "rollback", conn)
        if number >= (4, 3):
            conn.routing_context = {"address": "h:7687"}
            conn.route(database="neo4j", bookmarks=["b1"])
            show(version, "route", conn)
        if number >= (4, 4):
            conn.route(database="neo4j", imp_user="alice")
            show(version, "route-imp", conn)
        if number >= (5, 4):
            conn.connection_hints["telemetry.enabled"] = True
            conn.configuration_hints = conn.connection_hints
            conn._telemetry_disabled = False
            from neo4j._api import TelemetryAPI

            conn.telemetry(TelemetryAPI.AUTO_COMMIT)
            show(version, "telemetry", conn)
        # RESET and GOODBYE wait for nothing here.
        conn._append(b"\x0f")
        show(version, "reset", conn)
        conn._append(b"\x02")
        show(version, "goodbye", conn)


if __name__ == "__main__":
    print(f"# neo4j {neo4j.__version__}, made by make.py", file=sys.stdout)
    main()
