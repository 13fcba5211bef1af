"""What pyarrow makes of an export, beside what Python makes of the server's text: every type, both formats, with views and without.

usage: pyarrow_reads.py LIBRARY CONNINFO...
"""

import datetime
import gc
import math
import struct
import sys
import uuid
from decimal import Decimal

import pyarrow

from pgpoll_arrow import NUMERIC_TEXT, VIEWS, Connection, Library, Refused

EPOCH = datetime.date(1970, 1, 1)
DAY = 86_400_000_000
UTF8, BINARY = pyarrow.utf8(), pyarrow.binary()
LONG = "a value that is longer than twelve bytes, "


def days(text):
    """Days since 1970 of a date in ISO style, of any year: 400 years are 146,097 days."""
    if text in ("infinity", "-infinity"):
        return (2**31 - 1) * (-1 if text[0] == "-" else 1)
    before_christ = text.endswith(" BC")
    year, month, day = map(int, text.removesuffix(" BC").split("-"))
    if before_christ:
        year = 1 - year
    eras, year = divmod(year - 1, 400)
    return (datetime.date(year + 1, month, day) - EPOCH).days + eras * 146_097


def microseconds(text):
    hours, minutes, seconds = text.split(":")
    return int(hours) * 3_600_000_000 + int(minutes) * 60_000_000 + int(Decimal(seconds) * 1_000_000)


def timestamp(text):
    if text in ("infinity", "-infinity"):
        return (2**63 - 1) * (-1 if text[0] == "-" else 1)
    suffix = " BC" if text.endswith(" BC") else ""
    date, time = text.removesuffix(" BC").split(" ")
    return days(date + suffix) * DAY + microseconds(time)


def single(text):
    return struct.unpack("f", struct.pack("f", float(text)))[0]


def same(text):
    return text


def escaped(text):
    return bytes.fromhex(text[2:])


# A type, what pyarrow should call it, what a text of the server's means, and literals; NULLs are put between them.
TYPES = [
    ("bool", pyarrow.bool_(), lambda text: text == "true", ["true", "false"]),
    ("int2", pyarrow.int16(), int, ["0", "-1", "32767", "-32768"]),
    ("int4", pyarrow.int32(), int, ["0", "-1", "2147483647", "-2147483648", "1000000"]),
    ("int8", pyarrow.int64(), int, ["0", "-1", "9223372036854775807", "-9223372036854775808"]),
    ("oid", pyarrow.uint32(), int, ["0", "4294967295"]),
    ("xid", pyarrow.uint32(), int, ["3", "4294967295"]),
    ("xid8", pyarrow.uint64(), int, ["0", "18446744073709551615"]),
    ("float4", pyarrow.float32(), single, ["0", "-0", "1.5", "3.4028235e+38", "1e-45", "NaN", "Infinity", "-Infinity"]),
    ("float8", pyarrow.float64(), float, ["0", "-1.25", "1.7976931348623157e+308", "5e-324", "0.1", "NaN", "-Infinity"]),
    ("numeric(10,2)", pyarrow.decimal128(10, 2), Decimal, ["0", "-0.01", "99999999.99", "-99999999.99", "10", "0.5"]),
    ("numeric(38,0)", pyarrow.decimal128(38, 0), Decimal, ["0", "9" * 38, "-" + "9" * 38, "1" + "0" * 37, "10000"]),
    ("numeric(38,38)", pyarrow.decimal128(38, 38), Decimal, ["0", "0." + "9" * 38, "-0." + "0" * 37 + "1"]),
    ("numeric(20,7)", pyarrow.decimal128(20, 7), Decimal, ["1234567890123.0000001", "-0.0001234", "0.9999999"]),
    ("numeric(39,1)", UTF8, same, ["0.0", "9" * 38 + ".5", "NaN"]),
    (
        "numeric",
        UTF8,
        same,
        ["0", "0.000", "-1.50", "10000", "123456789.987654321", "0.00001", "1e-30", "1e40", "12345e-9", "NaN"]
        + ["-0.1", "100000000.00000001", "1" * 100, "0." + "0" * 50 + "7", "9999.99990000"],
    ),
    (
        "date",
        pyarrow.date32(),
        days,
        ["1970-01-01", "2000-01-01", "2024-02-29", "1969-12-31", "0001-01-01", "0044-03-15 BC", "4713-01-01 BC"]
        + ["5874897-12-31", "infinity", "-infinity", "1900-02-28", "2000-12-31"],
    ),
    ("time", pyarrow.time64("us"), microseconds, ["00:00:00", "23:59:59.999999", "12:34:56.7", "01:02:03.000004"]),
    (
        "timestamp",
        pyarrow.timestamp("us"),
        timestamp,
        ["1970-01-01 00:00:00", "2026-01-02 03:04:05.678901", "1969-12-31 23:59:59.5", "0001-12-31 10:00:00 BC"]
        + ["4713-01-01 00:00:00 BC", "294246-12-31 23:59:59.999999", "infinity", "-infinity", "2000-02-29 12:00:00.01"],
    ),
    ("uuid", pyarrow.uuid(), uuid.UUID, ["00112233-4455-6677-8899-aabbccddeeff", str(uuid.UUID(int=2**128 - 1))]),
    ("bytea", BINARY, escaped, ["\\x", "\\x00", "\\x00ff5c27", "\\x" + "5c00ff41" * 50]),
    ("text", UTF8, same, ["", "a", "exactly12 by", "exactly 13 by", LONG * 100, "naïve – ☃ 🐘", "ü" * 6, "ü" * 7]),
    ("varchar(20)", UTF8, same, ["", "x", "twenty characters!!!"]),
    ("char(14)", UTF8, same, ["padded        ", "to  fourteen  "]),
    ("name", UTF8, same, ["pg_class"]),
    ("json", UTF8, same, ['{"a":  1}', "[]", '"' + LONG + '"']),
    ("jsonb", UTF8, same, ['{"a": 1}', "[]", '{"' + LONG + '": ["ü", null]}']),
]
# Types that are not decoded: text, or in binary the type's own bytes.
OTHERS = [("int4[]", "{1,NULL,3}"), ("interval", "1 day 02:00:00"), ("inet", "10.0.0.1"), ("mood", "glad"), ("money", "$1.00")]

checks = 0


def check(what, found, expected):
    global checks
    checks += 1
    assert found == expected, f"{what}: {found!r} is not {expected!r}"


def canonical(value):
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def view_of(type):
    return {UTF8: pyarrow.string_view(), BINARY: pyarrow.binary_view()}.get(type, type)


def integers(array):
    """Values as Python has them; dates and times as numbers, since Python's own end with the year 9999."""
    for temporal, number in [(pyarrow.types.is_date32, pyarrow.int32()), (pyarrow.types.is_time64, pyarrow.int64())]:
        if temporal(array.type):
            array = array.view(number)
    if pyarrow.types.is_timestamp(array.type):
        array = array.view(pyarrow.int64())
    return [canonical(value) for value in array.to_pylist()]


def literal(type, text):
    return ("NULL" if text is None else "'" + text.replace("'", "''") + "'") + "::" + type


def rows(type, values):
    """A statement with the values as rows."""
    cells = ", ".join(f"({at}, {literal(type, value)})" for at, value in enumerate(values))
    return f"select v as \"value of {type}\" from (values {cells}) as rows (at, v) order by at"


def every_type(conn):
    for type, arrow, meaning, literals in TYPES:
        spread = [value for pair in zip(literals, [None] * len(literals)) for value in pair]
        for values in (literals, [None] + spread * 20, [None, None], []):
            sql = rows(type, values or [None]) + ("" if values else " limit 0")
            shown = f"select v::text from ({sql}) as v (v)"
            texts = [text for batch in conn.batches(shown) for text in batch.column(0).to_pylist()]
            check(f"{type}: as many", len(texts), len(values))
            if type.startswith("char("):
                texts = values
            expected = [None if text is None else canonical(meaning(text)) for text in texts]
            for binary in (False, True):
                for flags in (0, VIEWS):
                    what = f"{type}, binary {binary}, flags {flags}, {len(values)} values"
                    (batch,) = conn.batches(sql, binary, flags)
                    batch.validate(full=True)
                    (field,), (column,) = batch.schema, batch.columns
                    check(what, field.type, view_of(arrow) if flags else arrow)
                    check(what, field.name, f"value of {type}")
                    check(what, field.nullable, True)
                    check(what, column.null_count, values.count(None))
                    check(what, column.buffers()[0] is None, None not in values)
                    check(what, integers(column), expected)


def decimals_as_text(conn):
    for binary in (False, True):
        (batch,) = conn.batches("select 1.50::numeric(10,2), null::numeric(4,1)", binary, NUMERIC_TEXT)
        check("numeric text", [field.type for field in batch.schema], [UTF8, UTF8])
        check("numeric text", batch.to_pylist(), [{"numeric": None}] if len(batch.to_pylist()[0]) == 1 else None)


def many_rows(conn):
    """Thousands of rows, in blocks of every kind, equal what pyarrow computes."""
    sql = (
        "select i::int4 as i, case when i % 3 = 0 then null else md5(i::text) end as hash, i % 2 = 0 as even, "
        "decode(md5(i::text), 'hex') as bytes, repeat(chr(97 + i % 26), i % 20) as short, (i / 4.0)::numeric(12,3) as d, "
        "repeat('ü', i % 50) as unicode from generate_series(1, 30000) as i"
    )
    first = None
    for binary in (False, True):
        for flags in (0, VIEWS):
            for size in (0, 1000):
                conn.c.conn_set_batch(conn.conn, size, 0)
                batches = list(conn.batches(sql, binary, flags))
                for batch in batches:
                    batch.validate(full=True)
                table = pyarrow.Table.from_batches(batches).to_pylist()
                first = first or table
                check("rows", table == first, True)
    conn.c.conn_set_batch(conn.conn, 0, 0)
    check("count", len(first), 30000)
    check("a row", first[24]["hash"], "8e296a067a37563370ded05f5a3bf3ec")
    check("a decimal", first[24]["d"], Decimal("6.250"))


def shapes(conn):
    """No columns, many columns, wide rows, values of 16 MB and more."""
    (batch,) = conn.batches("select from generate_series(1, 3)")
    check("no columns", (batch.num_rows, batch.num_columns), (3, 0))
    for binary in (False, True):
        for flags in (0, VIEWS):
            width = 1600
            columns = ", ".join(f"(i * {at})::int4 as c{at}" for at in range(width))
            (batch,) = conn.batches(f"select {columns} from generate_series(1, 20) as i", binary, flags)
            batch.validate(full=True)
            check("many columns", batch.column(1599).to_pylist(), [1599 * i for i in range(1, 21)])
            # Too wide for the index: found by walking.
            sql = "select i, repeat('x', 70000 + i) as x, null::text as n, repeat('y', i) as y, i % 2 = 0 as e from generate_series(1, 40) as i"
            (batch,) = conn.batches(sql, binary, flags)
            batch.validate(full=True)
            expected = [{"i": i, "x": "x" * (70000 + i), "n": None, "y": "y" * i, "e": i % 2 == 0} for i in range(1, 41)]
            check("wide rows", batch.to_pylist() == expected, True)
            for size in (16_777_214, 16_777_215, 16_777_216):
                sql = f"select 'first' as a, repeat('z', {size}) as z, null::text as n, 'last, and not so short' as b"
                (batch,) = conn.batches(sql, binary, flags)
                check("huge", batch.to_pylist() == [{"a": "first", "z": "z" * size, "n": None, "b": "last, and not so short"}], True)


def zones(conn):
    """timestamptz is UTC, whatever the session's zone writes."""
    instants = "'2026-07-01 12:00:00.5+00', '0001-01-01 00:00:00+00 BC', '1890-01-01 00:00:00+00', 'infinity', '-infinity'"
    sql = f"select unnest(array[{instants}]::timestamptz[]) as t"
    (reference,) = conn.batches(sql, True)
    check("zone", reference.schema.field(0).type, pyarrow.timestamp("us", "UTC"))
    check("zone", integers(reference.column(0))[0], 1782907200500000)
    for zone in ("UTC", "Asia/Kolkata", "Europe/Amsterdam", "America/New_York", "Africa/Monrovia", "<+14>-14"):
        list(conn.batches(f"set timezone to '{zone}'"))
        (batch,) = conn.batches(sql)
        check(zone, integers(batch.column(0)), integers(reference.column(0)))
    list(conn.batches("set timezone to default"))


def other_types(conn):
    list(conn.batches("drop type if exists mood"))
    list(conn.batches("create type mood as enum ('sad', 'glad')"))
    for type, text in OTHERS:
        (batch,) = conn.batches(f"select '{text}'::{type} as v")
        check(type, (batch.schema.field(0).type, batch.column(0).to_pylist()), (UTF8, [text]))
        (batch,) = conn.batches(f"select '{text}'::{type} as v", True)
        check(type, batch.schema.field(0).type, BINARY)
    (batch,) = conn.batches("select 'glad'::mood as v", True)
    check("an enum's label", batch.column(0).to_pylist(), [b"glad"])
    list(conn.batches("set bytea_output to escape"))
    sql = "select decode('005c27ff0a41', 'hex') as b, ''::bytea as e"
    (batch,) = conn.batches(sql)
    check("escape", batch.to_pylist(), [{"b": b"\0\\'\xff\nA", "e": b""}])
    list(conn.batches("set bytea_output to hex"))
    (batch,) = conn.batches("select 1::numeric(7,3) as v")
    check("metadata", batch.schema.field(0).metadata, {b"postgresql.type_oid": b"1700", b"postgresql.type_modifier": b"458759"})


def refusals(conn):
    """What cannot be had in Arrow is refused in words that say where it is and what to do."""

    def refused(sql, binary, expected, before=None, flags=0):
        if before:
            list(conn.batches(before))
        try:
            list(conn.batches(sql, binary, flags))
        except Refused as error:
            check(sql, str(error), expected)
        else:
            check(sql, "exported", expected)
        if before:
            list(conn.batches("reset all"))

    date = "is not a date in ISO style: SET datestyle TO ISO, or ask for binary results"
    for style, written in [("SQL", "12/31/2025"), ("German", "31.12.2025"), ("Postgres", "12-31-2025")]:
        expected = f'row 0, column "d": "{written}" {date}'
        refused("select date '2025-12-31' as d", False, expected, f"set datestyle to {style}")
        (batch,) = conn.batches("select date '2025-12-31' as d", True)
        check(style, integers(batch.column(0)), [20453])
    stamp = "is not a timestamp in ISO style: SET datestyle TO ISO, or ask for binary results"
    written = "Wed Dec 31 01:02:03 2025"
    refused("select timestamp '2025-12-31 01:02:03' as t", False, f'row 0, column "t": "{written}" {stamp}', "set datestyle to postgres")
    far = "is too far from 1970 for Arrow's 64 bits of microseconds: cast the column to text"
    sql = "select timestamp '294276-12-31' as t"
    refused(sql, False, f'row 0, column "t": "294276-12-31 00:00:00" {far}')
    refused(sql, True, f'row 0, column "t": \\x7fffff7c5caa8000 (8 bytes) {far}'.replace("7fffff7c5caa8000", last_day(conn)))
    midnight = "is the end of a day, which Arrow's time does not have: cast the column to text"
    refused("select time '24:00' as t", False, f'row 0, column "t": "24:00:00" {midnight}')
    fit = "does not fit a decimal of the column's precision and scale: export numerics as text (CONN_ARROW_NUMERIC_TEXT)"
    sql = "select case i when 3 then 'NaN' else '1' end::numeric(5,1) as n from generate_series(0, 5) as i"
    refused(sql, False, f'row 3, column "n": "NaN" {fit}')
    refused(sql, True, f'row 3, column "n": \\x00000000c0000000 (8 bytes) {fit}'.replace("c0000000", "c000" + "0000"))
    (batch,) = conn.batches(sql, True, NUMERIC_TEXT)
    check("NaN as text", batch.column(0).to_pylist()[2:4], ["1.0", "NaN"])
    latin = "is not valid UTF-8: SET client_encoding TO UTF8"
    for flags in (0, VIEWS):
        shown = 'row 1, column "c": "na�ve" '
        refused("select c from (values ('a'), (U&'na\\00efve'), ('b')) as v (c)", False, shown + latin, "set client_encoding to latin1", flags)
    refused('select 1 as U&"na\\00efve"', False, "the name of column 0 " + latin, "set client_encoding to latin1")


def last_day(conn):
    (batch,) = conn.batches("select encode(timestamp_send('294276-12-31'), 'hex') as h")
    return batch.column(0).to_pylist()[0]


def lifetimes(conn):
    """Arrays outlive results, connections and each other; children outlive their parents."""
    sql = "select i, md5(i::text) as hash, repeat('x', 20) as x from generate_series(1, 5000) as i"
    kept = []
    for flags in (0, VIEWS):
        for result in conn.results(sql, True):
            batches = [conn.export(result, flags) for _ in range(3)]
            conn.c.conn_result_free(result)
            kept.append(batches[1].column(1))
            kept.append(batches[2].slice(100, 10).column(2))
            del batches
    before = pyarrow.total_allocated_bytes()
    gc.collect()
    for column in kept:
        column.validate(full=True)
    check("a child alone", kept[0].to_pylist(), kept[2].to_pylist())
    check("a slice alone", kept[3].to_pylist(), ["x" * 20] * 10)
    check("no copies in pyarrow", before, pyarrow.total_allocated_bytes())


def main():
    library = Library(sys.argv[1])
    for conninfo in sys.argv[2:]:
        first = Connection(library, conninfo)
        list(first.batches("drop database if exists arrow"))
        list(first.batches("create database arrow encoding 'UTF8' locale 'C' template template0"))
        first.close()
        conn = Connection(library, conninfo + " dbname=arrow")
        for test in (every_type, many_rows, shapes, zones, other_types, refusals, lifetimes):
            test(conn)
        conn.close()
    print(f"{checks} checks")


main()
