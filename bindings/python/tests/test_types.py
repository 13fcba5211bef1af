"""Every type both ways: in binary, as text, in arrays."""

from __future__ import annotations

import datetime as dt
import decimal
import ipaddress
import sys
import uuid

import pytest
from ways import PYPY

import pgpoll
from pgpoll import Range

UTC = dt.timezone.utc
D = decimal.Decimal

VALUES = {
    "bool": [True, False],
    "int2": [0, -(2**15), 2**15 - 1],
    "int4": [0, -(2**31), 2**31 - 1],
    "int8": [0, -(2**63), 2**63 - 1],
    "oid": [0, 2**32 - 1],
    "float4": [0.0, -1.5, float("inf"), 825319744.0],
    "float8": [0.1, -1e300, float("-inf"), 5e-324],
    "numeric": [D("0"), D("-1.50"), D("1E+20").quantize(D(1)), D("0.000012345"), D("-99999999999999999999.9999"), D("10000"), D("Infinity"), D("0.00")],
    "text": ["", "ä\N{SNOWMAN}", "a,b{c}\"d\\e' NULL", "NULL", " x ", "\u2028", "\u2003x\u2003"],
    "varchar": ["x"],
    "name": ["x"],
    '"char"': ["", "x"],
    "bytea": [b"", b"\0\xff\\x"],
    "date": [dt.date(2026, 1, 1), dt.date(1, 1, 2), dt.date(1899, 12, 31), dt.date(9999, 12, 30), dt.date.max, dt.date.min, dt.date(2000, 2, 29)],
    "time": [dt.time(0), dt.time(23, 59, 59, 999999)],
    "timetz": [dt.time(1, 2, 3, 4, dt.timezone(dt.timedelta(hours=-5, minutes=-30)))],
    "timestamp": [dt.datetime(2026, 1, 1, 12, 30, 1, 5), dt.datetime(1, 1, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59, 999999), dt.datetime.max, dt.datetime.min],
    "timestamptz": [dt.datetime(2026, 1, 1, 12, tzinfo=UTC), dt.datetime(1900, 1, 1, 0, 0, 0, 1, UTC)],
    "interval": [dt.timedelta(0), dt.timedelta(days=-3, seconds=5, microseconds=7), dt.timedelta(days=400, hours=5), -dt.timedelta(microseconds=1)],
    "uuid": [uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")],
    "json": [{"a": [1, None, "ä"]}, [1], None],
    "jsonb": [{"a": [1, 2.5, True]}],
    "inet": [ipaddress.ip_address("10.0.0.1"), ipaddress.ip_interface("10.0.0.1/8"), ipaddress.ip_address("::1"), ipaddress.ip_interface("fe80::1/64")],
    "cidr": [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fe80::/64")],
    "int4range": [Range(1, 5), Range(None, 3), Range(1, None, True, True), Range(5, 1, empty=True), Range(empty=True)],
    "numrange": [Range(D("1.5"), D("2.5"), False, True)],
    "tsrange": [Range(dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2, 5))],
    "tstzrange": [Range(dt.datetime(2026, 1, 1, tzinfo=UTC), None)],
    "daterange": [Range(dt.date(2026, 1, 1), dt.date(2026, 1, 2))],
    "int8range": [Range(2**40, 2**41)],
}  # fmt: skip


def test_values_both_ways(run):
    async def test(connection):
        for name, values in VALUES.items():
            for value in values:
                # In binary; as text, because a column has a type without a binary decoder.
                got = await connection.fetchval(f"select $1::{name}", value)
                assert got == value and type(got) is type(value), (name, value, got)
                got = await connection.fetchval(f"select $1::{name}, '(1,2)'::point", value)
                assert got == value and type(got) is type(value), (name, value, got, "text")
                assert await connection.fetchval(f"select $1::{name}", None) is None

    run(test)


def test_bytes_that_are_no_character(run):
    async def test(connection):
        assert await connection.fetchval("""select $1::"char" """, "\\377") == "\\377"
        assert await connection.fetchval("""select array['', 'x']::"char"[]""") == ["", "x"]
        for value in ("xy", "\N{SNOWMAN}", "\\400", "\\37"):
            with pytest.raises(pgpoll.ParameterError, match=r"\$1.*\"char\".*one ASCII character"):
                await connection.fetchval("""select $1::"char" """, value)

    run(test)


def test_arrays(run):
    async def test(connection):
        for name, values in VALUES.items():
            is_json = name in ("json", "jsonb")  # whose lists are values, not dimensions
            for array in ([], [*values, None], [[1], {"a": 5}] if is_json else [values, values]):
                got = await connection.fetchval(f"select $1::{name}[]", array)
                assert got == array, (name, array, got)
                got = await connection.fetchval(f"select $1::{name}[], '(1,2)'::point", array)
                assert got == array, (name, array, got, "text")
        assert await connection.fetchval("select '[2:3]={1,2}'::int4[]") == [1, 2]
        assert await connection.fetchval("select array_agg(n) from generate_series(1, 10000) n") == list(range(1, 10001))
        assert await connection.fetch("select n from generate_series(1, 5) n where n = any($1)", [2, 3]) == [(2,), (3,)]

    run(test)


def test_multiranges_and_records(run):
    async def test(connection):
        if connection.server_version >= 140000:
            value = [Range(1, 3), Range(5, 9)]
            assert await connection.fetchval("select $1::int4multirange", value) == value
            assert await connection.fetchval("select $1::int4multirange, '(1,2)'::point", value) == value
        assert await connection.fetchval("select row(1, 'x'::text, null::int, array[1.5])") == (1, "x", None, [D("1.5")])
        assert await connection.fetchval("select null::void") is None

    run(test)


@pytest.fixture
def many_digits():
    """PyPy's decimals are made of int, which refuses more than 4,300 digits of a string unless it is told not to."""
    if PYPY:
        before = sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(0)
    yield
    if PYPY:
        sys.set_int_max_str_digits(before)


def test_numbers_of_many_digits(run, many_digits):
    async def test(connection):
        for text in ("0." + "0" * 50 + "123", "9" * 200 + "." + "8" * 200, "-10000.0001", "1e-16000", "NaN"):
            number, shown = await connection.fetchrow(f"select '{text}'::numeric, '{text}'::numeric::text")
            assert f"{number:f}" == shown, text
        assert await connection.fetchval("select 1e-1000::numeric") == D("1e-1000")

    run(test)


def test_the_calendar(run):
    async def test(connection):
        rows = await connection.fetch(
            "select d::date, d::timestamp, d::date::text, d::timestamp::text from generate_series('0001-01-02'::timestamp, '9999-12-30', '37 days 5:07:03.000001') d"
        )
        for date, stamp, date_text, stamp_text in rows:
            assert date.isoformat() == date_text
            assert stamp == dt.datetime.fromisoformat(stamp_text.ljust(26, "0") if "." in stamp_text else stamp_text)
            assert await connection.fetchval("select 1") == 1 if date.year % 1000 == 0 else True
        assert (
            await connection.fetchval(
                "select count(*) from unnest($1::date[], $2::timestamp[], $3::text[]) u(d, s, t) where d::text <> t",
                *map(list, zip(*[(row[0], row[1], row[2]) for row in rows[:500]], strict=True)),
            )
            == 0
        )
        with pytest.raises(ValueError, match="out of the range"):
            await connection.fetchval("select '4713-01-01 BC'::date")
        assert await connection.fetchval("select 5") == 5

    run(test)


def test_wrong_types_name_the_parameter(run):
    async def test(connection):
        wrong = [
            ("int4", "x", r"parameter \$2 of type integer: expected int, got str"),
            ("int4", 2**31, r"parameter \$2 of type integer: expected an int from -2147483648 to 2147483647"),
            ("int2", 1.5, r"of type smallint: expected int, got float"),
            ("bool", 1, "of type boolean: expected bool, got int"),
            ("text", 5, "of type text: expected str, got int"),
            ("float8", "1", "of type double precision: expected float, got str"),
            ("numeric", "1", "of type numeric: expected decimal.Decimal, got str"),
            ("bytea", "x", "of type bytea: expected bytes, got str"),
            ("date", "2026-01-01", "of type date: expected datetime.date, got str"),
            ("timestamp", dt.datetime.now(UTC), "without tzinfo"),
            ("timestamptz", 5, "of type timestamptz: expected datetime.datetime, got int"),
            ("uuid", 5, "of type uuid: expected uuid.UUID, got int"),
            ("uuid", "nonsense", "of type uuid: "),
            ("interval", 5, "of type interval: expected datetime.timedelta, got int"),
            ("int4[]", 5, r"of type integer\[\]: expected a list, got int"),
            ("int4[]", ["x"], r"of type integer\[\]: expected int, got str"),
            ("int4range", 5, "of type int4range: expected pgpoll.Range, got int"),
            ("inet", "nonsense", "of type inet: "),
            ("json", {1, 2}, "of type json: "),
            ("point", object(), "of type with OID 600: expected str, got object"),
        ]  # fmt: skip
        for name, value, message in wrong:
            with pytest.raises(pgpoll.ParameterError, match=message):
                await connection.fetchval(f"select $1::int4, $2::{name}", 1, value)
        for args in ((), (1, 2, 3)):
            with pytest.raises(pgpoll.InterfaceError, match="the statement has 2 parameters"):
                await connection.fetchval("select $1::int4, $2::int4", *args)
        assert await connection.fetchval("select 1") == 1

    run(test)


def test_types_of_the_databases_own(run):
    async def test(connection):
        await connection.execute("create schema own; set search_path = own")
        try:
            await connection.execute("""
                create type mood as enum ('sad', 'it''s "ok"'); create type pair as (a int, b text, m mood);
                create type floats as range (subtype = float8); create domain small as int check (value < 10)""")
            for registered in (False, True):
                assert await connection.fetchval("select $1::mood", 'it\'s "ok"') == 'it\'s "ok"'
                assert await connection.fetchval("select 5::small") == 5
                assert await connection.fetchval("select $1::small", 5) == 5
                if not registered:
                    assert await connection.fetchval("select (1, 'x y', 'sad')::pair") == '(1,"x y",sad)'
                    assert await connection.fetchval("select $1::pair", (1, "x", "sad")) == "(1,x,sad)"
                    for name in ("mood", "pair", "floats", "small"):
                        await connection.register_type(name)
            for value in [(1, 'x,"y\\ (', "sad"), (None, None, None), (5, "", 'it\'s "ok"')]:
                assert await connection.fetchval("select $1::pair", value) == value
                assert await connection.fetchval("select $1::pair, '(1,2)'::point", value) == value
                assert await connection.fetchval("select $1::pair[]", [value, None]) == [value, None]
            assert await connection.fetchval("select $1::floats", Range(1.5, 2.5)) == Range(1.5, 2.5)
            assert await connection.fetchval("select $1::mood[]", ["sad", None]) == ["sad", None]
            with pytest.raises(pgpoll.ParameterError, match="expected a tuple of 3 values"):
                await connection.fetchval("select $1::pair", (1,))
            with pytest.raises(pgpoll.PostgresError):
                await connection.register_type("no_such_type")
        finally:
            await connection.execute("drop schema own cascade")

    run(test)


def test_custom_codecs(run):
    async def test(connection):
        def point(text: str) -> complex:
            x, y = text.strip("()").split(",")
            return complex(float(x), float(y))

        await connection.set_type_codec("point", encoder=lambda value: f"({value.real},{value.imag})", decoder=point)
        assert await connection.fetchval("select $1::point", 1 + 2j) == 1 + 2j
        assert await connection.fetchval("select $1::point[]", [1 + 2j]) == [1 + 2j]
        await connection.set_type_codec(
            "int4", encoder=lambda value: (value * 2).to_bytes(4, "big", signed=True), decoder=lambda data: data.hex(), format="binary"
        )
        assert await connection.fetchval("select $1::int4", 5) == "0000000a"
        for kind in (bytearray, memoryview):
            await connection.set_type_codec("int2", encoder=lambda value, kind=kind: kind(value.to_bytes(2, "big")))
            assert await connection.fetchval("select $1::int2::int8", 258) == 258
        assert await connection.fetchval("select $1::int8", 5) == 5
        await connection.set_type_codec("int4", encoder=lambda value: 5)
        with pytest.raises(pgpoll.ParameterError, match="str or bytes"):
            await connection.fetchval("select $1::int4", 5)
        await connection.set_type_codec("text", decoder=lambda text: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await connection.fetch("select 'x'::text from generate_series(1, 10000)")
        assert await connection.fetchval("select 5::int8") == 5
        async with await pgpoll.connect() as other:
            assert await other.fetchval("select $1::int4", 5) == 5

    run(test)


def test_infinity_inside_of_other_values(run):
    """It is the largest or smallest value of Python's type there too, and where nothing is prepared."""
    zoned = [dt.datetime.max.replace(tzinfo=UTC), dt.datetime.min.replace(tzinfo=UTC)]

    async def test(connection):
        async with await pgpoll.connect(statement_cache_size=0) as unprepared:
            for each in (connection, unprepared):
                for name, values in (
                    ("date", [dt.date.max, dt.date.min]),
                    ("timestamp", [dt.datetime.max, dt.datetime.min]),
                    ("timestamptz", zoned),
                ):
                    assert await each.fetchval(f"select $1::{name}[]::text", values) == "{infinity,-infinity}"
                    assert await each.fetchval(f"select $1::{name}[]", values) == values
                    assert await each.fetchval(f"select $1::{name}::text", values[1]) == "-infinity"
                for value, said in ((dt.datetime.max, "infinity"), (dt.datetime.min, "-infinity")):  # without a zone, too
                    assert await each.fetchval("select $1::timestamptz::text", value) == said
                    assert await each.fetchval("select $1::timestamptz[]::text", [value]) == f"{{{said}}}"
                assert await each.fetchval("select $1::daterange::text", Range(dt.date(2026, 1, 1), dt.date.max)) == "[2026-01-01,infinity)"

    run(test)


def test_values_that_do_not_fit_inside_of_others(run):
    async def test(connection):
        aware = dt.datetime(2026, 1, 1, tzinfo=UTC)
        for sql, value in (
            ("select $1::timestamp[]", [aware]),
            ("select $1::tsrange", Range(aware, None)),
            ("select $1::real", 1e300),
            ("select $1::text[]", ["\ud800"]),
        ):
            with pytest.raises(pgpoll.ParameterError, match=r"parameter \$1 of type"):
                await connection.fetchval(sql, value)
        async with await pgpoll.connect(statement_cache_size=0) as unprepared:
            with pytest.raises(pgpoll.ParameterError, match=r"parameter \$1"):
                await unprepared.fetchval("select $1::text", "\ud800")

    run(test)


def test_text_that_is_no_value_of_python(run):
    async def test(connection):
        for style in ("iso_8601", "sql_standard", "postgres_verbose"):
            await connection.execute(f"set intervalstyle = {style}")
            with pytest.raises(ValueError, match="intervalstyle"):
                await connection.fetchrow("select '-1 day 2 hours'::interval, '(1,2)'::point")
        await connection.execute("reset intervalstyle")
        for value in ("interval '178000000 years'", "date '0044-03-15 BC'", "timestamp '0044-03-15 12:00 BC'", "date '10000-01-01'"):
            for more in ("", ", '(1,2)'::point"):
                with pytest.raises(ValueError, match="out of the range of Python's"):
                    await connection.fetchrow(f"select {value}{more}")
        assert await connection.fetchval("select 1") == 1

    run(test)


def test_own_types_inside_of_own_types(run):
    async def test(connection):
        await connection.execute("""
            create domain pg_temp.small as int check (value < 9);
            create type pg_temp.colour as enum ('red', 'blue');
            create type pg_temp.pair as (n pg_temp.small, c pg_temp.colour, p point);
            create type pg_temp.span as range (subtype = float8, multirange_type_name = pg_temp.spans)""")
        await connection.register_type("pg_temp.small")
        await connection.register_type("pg_temp.pair")
        await connection.register_type("pg_temp.span")
        assert await connection.fetchval("select $1::pg_temp.pair", (5, "red", None)) == (5, "red", None)
        assert await connection.fetchval("select (5, 'blue', '(1,2)')::pg_temp.pair") == (5, "blue", "(1,2)")
        for more in ("", ", '(1,2)'::point"):
            got = await connection.fetchrow(f"select $1::pg_temp.spans{more}", [Range(0.5, 1.5), Range(2.5, None)])
            assert got[0] == [Range(0.5, 1.5), Range(2.5, None)]
        await connection.set_type_codec("int4", encoder=str, decoder=lambda text: f"<{text}>")
        assert await connection.fetchval("select array[1, null, $1::int4]", 5) == ["<1>", None, "<5>"]

    run(test)
