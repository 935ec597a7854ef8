#!/usr/bin/env python3
"""Packs a broad table of values with the official Python driver, as the golden file of values beside this script.

    python3 -m venv v && v/bin/pip install neo4j==6.4.1 && v/bin/python values.py > values-6.4.1.txt

One line a value: version, what the value is, an equals sign, its bytes in hexadecimal; of long ones their number and FNV-1a digest.
Packer and dehydration are those of the driver's own connection class for the version.
"""

import datetime
import struct
import uuid

import neo4j
import pytz
from neo4j.spatial import CartesianPoint, WGS84Point
from neo4j.time import Date, DateTime, Duration, Time
from neo4j.vector import Vector

from make import connection

SHOWN_BYTES_MAX = 64
SIZES = (0, 1, 2, 14, 15, 16, 17, 127, 128, 255, 256, 257, 65_535, 65_536)
BIG = 65_535
EPOCH_ORDINAL = 719_163
EPOCH = DateTime(1970, 1, 1)
POINTS = {7203: CartesianPoint, 9157: CartesianPoint, 4326: WGS84Point, 4979: WGS84Point}


def specs():
    """The table; `build` says what each line means."""
    yield from ("null", "true", "false")
    edges = {0, -16, -17, 127, 128, 255, 256, 42, 2**40, -(2**40)}
    for bits in (8, 16, 32, 64):
        edges |= {sign * 2 ** (bits - 1) + by for sign in (1, -1) for by in (-1, 0, 1)}
    yield from (f"int {i}" for i in sorted(edges) if -(2**63) <= i < 2**63)
    for number in (0.0, -0.0, 1.0, -1.5, 0.1, 1e308, -1e-308, 5e-324, 3.0, float("inf"), float("-inf"), float("nan")):
        yield f"float {struct.pack('>d', number).hex()}"
    for text in ("größe", "naïve ☃", "\0", "𝄞𝄞𝄞𝄞", "日本語の文字列です", "é" * 8):
        yield f"text {text.encode().hex()}"
    for kind in ("string", "bytes", "list", "map"):
        yield from (f"{kind} {size}" for size in SIZES)
    yield from (f"nested {levels}" for levels in (1, 2, 15, 16, 100))
    yield "mixed"
    yield from (f"date {days}" for days in (0, 1, -1, 19_782, -719_162, 2_932_896, 127, 128, -17))
    nanos = (0, 1, 999_999_999, 3_723_000_000_004, 86_399_999_999_999)
    offsets = (0, 3_600, -18_000, 19_800, 64_800, -64_800, 60)
    yield from (f"local-time {n}" for n in nanos)
    yield from (f"time {n} {offset}" for n in nanos for offset in offsets[:4])
    seconds = (0, 1, -1, 4_500, 1_709_210_096, 2**31, -(2**31) - 1, 200_000_000_000)
    yield from (f"local-date-time {s} {n}" for s in seconds for n in (0, 42, 999_999_999))
    yield from (f"date-time {s} {n} {offset}" for s in seconds for n in (0, 999_999_999) for offset in offsets)
    for zone, offset in (("Europe/Paris", 3_600), ("UTC", 0), ("Asia/Kolkata", 19_800)):
        yield from (f"zoned {s} {n} {offset} {zone}" for s in (1_709_210_096, 1_000_000_000 + 15_000_000) for n in (0, 7))
    for parts in ((0, 0, 0, 0), (1, 2, 3, 500_000_000), (-1, -2, -3, -4), (14, 400, 100_000, 1), (0, 0, 2**40, 0)):
        yield "duration " + " ".join(map(str, parts))
    for point in ("7203 1.0 2.0", "4326 -0.5 51.25", "9157 1.0 2.0 3.0", "4979 -0.5 51.25 100.0"):
        yield f"point {point}"
    for kind in ("i8", "i16", "i32", "i64", "f32", "f64"):
        yield f"vector {kind} 1 -2 3"
        yield f"vector {kind} " + " ".join(str(i % 100) for i in range(300))
    yield "uuid 550e8400-e29b-41d4-a716-446655440000"
    yield "uuid 00000000-0000-0000-0000-000000000000"
    yield "uuid ffffffff-ffff-ffff-ffff-ffffffffffff"


def build(spec):
    """The value a line of the table means."""
    kind, *words = spec.split(" ")
    if kind in ("null", "true", "false"):
        return {"null": None, "true": True, "false": False}[kind]
    if kind == "float":
        return struct.unpack(">d", bytes.fromhex(words[0]))[0]
    if kind == "text":
        return bytes.fromhex(words[0]).decode()
    if kind == "uuid":
        return uuid.UUID(words[0])
    if kind == "mixed":
        return [1, 2.5, "three", None, True, b"\x01\x02", {"a": [{}], "b": {"c": []}, "": -17}]
    if kind == "point":
        return POINTS[int(words[0])](map(float, words[1:]))
    if kind == "vector":
        number = float if words[0].startswith("f") else int
        return Vector(list(map(number, words[1:])), words[0])
    zone = words.pop() if kind == "zoned" else None
    first, *rest = numbers = list(map(int, words))
    if kind == "int":
        return first
    if kind == "string":
        return "".join(chr(ord("a") + i % 26) for i in range(first))
    if kind == "bytes":
        return bytes(i * 7 % 256 for i in range(first))
    if kind == "list":
        return [i % 300 - 40 for i in range(first)]
    if kind == "map":
        return {f"k{i}": i for i in range(first)}
    if kind == "nested":
        value = 1
        for _ in range(first):
            value = [value]
        return value
    if kind == "date":
        return Date.from_ordinal(EPOCH_ORDINAL + first)
    if kind == "local-time":
        return Time.from_ticks(first)
    if kind == "time":
        return Time.from_ticks(first, tz=pytz.FixedOffset(rest[0] // 60))
    if kind == "local-date-time":
        return EPOCH + Duration(seconds=first, nanoseconds=rest[0])
    if kind == "date-time":
        local = EPOCH + Duration(seconds=first + rest[1], nanoseconds=rest[0])
        return local.replace(tzinfo=datetime.timezone(datetime.timedelta(seconds=rest[1])))
    if kind == "zoned":
        local = EPOCH + Duration(seconds=first + rest[1], nanoseconds=rest[0])
        return pytz.timezone(zone).localize(local)
    assert kind == "duration", kind
    value = Duration(months=first, days=rest[0], seconds=rest[1], nanoseconds=rest[2])
    assert [value.months, value.days, value.seconds, value.nanoseconds] == numbers
    return value


def fnv1a(data):
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    return digest


def main():
    neo4j._sync.io.Bolt.__del__ = lambda _: None
    for label in ("4.4", "4.4+utc", "5.0", "6.0", "6.1"):
        version = label.removesuffix("+utc")
        conn = connection(version)
        if label != version:
            conn.hydration_handler.patch_utc()
        hooks = conn.hydration_handler.dehydration_hooks
        for spec in specs():
            kind, *words = spec.split(" ")
            # What the version cannot carry; and the longest once for each of the driver's two packers.
            if kind == "vector" and version < "6.0" or kind == "uuid" and version < "6.1":
                continue
            if kind in ("string", "bytes", "list", "map") and int(words[0]) >= BIG and label not in ("4.4", "6.1"):
                continue
            buffer = conn.PACKER_CLS.new_packable_buffer()
            conn.PACKER_CLS(buffer).pack(build(spec), hooks)
            data = bytes(buffer.data)
            shown = data.hex() if len(data) <= SHOWN_BYTES_MAX else f"{len(data)}:{fnv1a(data):016x}"
            print(label, spec, "=", shown)


if __name__ == "__main__":
    print(f"# neo4j {neo4j.__version__}, made by values.py")
    main()
