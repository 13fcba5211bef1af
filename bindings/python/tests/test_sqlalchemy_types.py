"""Values between SQLAlchemy's types and the server: prepared, and as text where nothing is prepared."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import ipaddress
import json
import uuid
from decimal import Decimal

import pytest

sa = pytest.importorskip("sqlalchemy")

from sqlalchemy.dialects import postgresql as pg  # noqa: E402
from sqlalchemy.ext.asyncio import create_async_engine  # noqa: E402

import pgpoll  # noqa: E402

UTC = dt.timezone.utc
EAST = dt.timezone(dt.timedelta(hours=5, minutes=30))


class Color(enum.Enum):
    red = "r"
    green = 'g, "quoted"'


VALUES = {
    "small": (sa.SmallInteger(), [0, -(2**15)]),
    "big": (sa.BigInteger(), [2**63 - 1]),
    "flag": (sa.Boolean(), [True, False]),
    "real": (sa.Float(), [1.5, -1e300]),
    "number": (sa.Numeric(30, 10), [Decimal("1.5000000000"), Decimal("-99999999999999999999.0000000001")]),
    "text": (sa.Text(), ["", "ä\N{SNOWMAN}", "$1 :x %s %(x)s ? '"]),
    "varchar": (sa.String(20), ["x"]),
    "char": (sa.CHAR(3), ["abc"]),
    "bytes": (sa.LargeBinary(), [b"", b"\0\xff\\"]),
    "date": (sa.Date(), [dt.date(2026, 2, 28), dt.date(1, 1, 2)]),
    "time": (sa.Time(), [dt.time(23, 59, 59, 999999)]),
    "stamp": (sa.DateTime(), [dt.datetime(2026, 1, 1, 12, 30, 1, 5), dt.datetime(1900, 1, 1)]),
    "zoned": (sa.DateTime(timezone=True), [dt.datetime(2026, 1, 1, 12, tzinfo=UTC), dt.datetime(2026, 7, 1, tzinfo=EAST)]),
    "interval": (sa.Interval(), [dt.timedelta(days=-3, seconds=5, microseconds=7), dt.timedelta(0)]),
    "uuid": (sa.Uuid(), [uuid.UUID("12345678-9abc-def0-1234-56789abcdef0")]),
    "uuid_text": (sa.Uuid(as_uuid=False), ["12345678-9abc-def0-1234-56789abcdef0"]),
    "json": (sa.JSON(), [{"a": [1, None, "ä"]}, [], "text", 5, False]),
    "jsonb": (pg.JSONB(), [{"a": {"b": [1.5]}}, "null", ""]),
    "enum": (sa.Enum(Color), [Color.red, Color.green]),
    "enums": (pg.ARRAY(sa.Enum(Color)), [[Color.red, Color.green, None], []]),
    "ints": (pg.ARRAY(sa.Integer), [[1, None, 3], [], [[1, 2], [3, 4]]]),
    "texts": (pg.ARRAY(sa.Text), [["", "NULL", None, 'a,"b"', "{}"]]),
    "numbers": (pg.ARRAY(sa.Numeric), [[Decimal("1.50"), None]]),
    "documents": (pg.ARRAY(pg.JSONB), [[{"a": 1}, [1], "x"]]),
    "moments": (pg.ARRAY(sa.DateTime(timezone=True)), [[dt.datetime(2026, 1, 1, tzinfo=UTC)]]),
    "bits": (pg.BIT(4), [pg.BitString("1010")]),
    "inet": (pg.INET(), [ipaddress.ip_address("10.0.0.1")]),
    "cidr": (pg.CIDR(), [ipaddress.ip_network("10.0.0.0/8")]),
    "span": (pg.INT4RANGE(), [pg.Range(1, 5), pg.Range(None, 3), pg.Range(empty=True)]),
    "days": (pg.DATERANGE(), [pg.Range(dt.date(2026, 1, 1), dt.date(2026, 1, 8))]),
    "period": (pg.TSTZRANGE(), [pg.Range(dt.datetime(2026, 1, 1, tzinfo=UTC), None, bounds="()")]),
}


def run(test, **options):
    async def with_engine():
        engine = create_async_engine("postgresql+pgpoll://", **options)
        try:
            async with engine.connect() as connection:  # what it makes is rolled back
                await asyncio.wait_for(test(connection), 60)
        finally:
            await engine.dispose()

    asyncio.run(with_engine())


CACHES = pytest.mark.parametrize("cache", [100, 0])


@CACHES
def test_values_both_ways(cache):
    table = sa.Table(
        "sa_values",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, kind) for name, (kind, _) in VALUES.items()),
    )
    rows = [{name: values[min(at, len(values) - 1)] for name, (_, values) in VALUES.items()} for at in range(5)]
    rows.append({name: None if not name.startswith("json") else sa.null() for name in VALUES})

    async def test(connection):
        await connection.run_sync(table.metadata.create_all)
        for number, row in enumerate(rows, 1):  # one by one; many in one statement; many executions of one
            await connection.execute(sa.insert(table).values(id=number, **row))
        await connection.execute(sa.insert(table).returning(table.c.id), [{"id": 10 + at, **row} for at, row in enumerate(rows[:5])])
        await connection.execute(sa.insert(table), [{"id": 20 + at, **row} for at, row in enumerate(rows[:5])])
        for at, row in enumerate(rows[:5]):
            await connection.execute(sa.insert(table).values(id=30 + at))
            filled = [{"key": 30 + at, **{f"v_{name}": value for name, value in row.items()}}]
            change = sa.update(table).where(table.c.id == sa.bindparam("key"))
            await connection.execute(
                change.values({name: sa.bindparam(f"v_{name}", type_=kind) for name, (kind, _) in VALUES.items()}), filled * 2
            )
        found = {row.id: row for row in await connection.execute(sa.select(table))}
        assert len(found) == 21
        for first in (1, 10, 20, 30):
            for at, row in enumerate(rows[:5]):
                for name, value in row.items():
                    got = getattr(found[first + at], name)
                    assert got == value and type(got) is type(value), (first, name, value, got)
        assert set(found[6][1:]) == {None}
        for name, (kind, values) in VALUES.items():
            if name != "json":  # which has no equality
                same = sa.select(sa.func.count()).where(table.c[name] == sa.bindparam("value", type_=kind))
                assert await connection.scalar(same, {"value": values[0]}) >= 4, name
            missing = sa.select(sa.bindparam("value", type_=kind) if "json" not in name else sa.cast(sa.null(), kind))
            assert await connection.scalar(missing, {"value": None} if "json" not in name else {}) is None

    run(test, connect_args={"statement_cache_size": cache})


@CACHES
def test_json_null_and_sql_null(cache):
    table = sa.Table(
        "sa_json", sa.MetaData(), sa.Column("id", sa.Integer), sa.Column("a", sa.JSON), sa.Column("b", pg.JSONB(none_as_null=True))
    )

    async def test(connection):
        await connection.run_sync(table.metadata.create_all)
        await connection.execute(sa.insert(table), [{"id": 1, "a": None, "b": None}, {"id": 2, "a": sa.JSON.NULL, "b": sa.JSON.NULL}])
        texts = sa.text("select a::text, b::text from sa_json order by id")
        assert (await connection.execute(texts)).all() == [("null", None), ("null", "null")]
        assert (await connection.execute(sa.select(table.c.a, table.c.b))).all() == [(None, None)] * 2
        await connection.execute(sa.insert(table).values(id=3, a={"k": [1, {"deep": "x"}]}, b={"n": 5}))
        deep = sa.select(table.c.a[("k", 1, "deep")].as_string(), table.c.b["n"].as_integer()).where(table.c.id == 3)
        assert (await connection.execute(deep)).one() == ("x", 5)
        assert await connection.scalar(sa.select(sa.func.count()).where(table.c.b.contains({"n": 5}))) == 1

    run(test, connect_args={"statement_cache_size": cache})


def test_json_by_functions_of_the_program():
    async def test(connection):
        value = sa.select(sa.cast({"n": Decimal("1.5")}, pg.JSONB), sa.cast({"n": 1}, sa.JSON))
        assert (await connection.execute(value)).one() == ({"n": Decimal("1.5")}, {"n": Decimal(1)})

    run(
        test,
        json_serializer=lambda value: json.dumps(value, default=float),
        json_deserializer=lambda text: json.loads(text, parse_float=Decimal, parse_int=Decimal),
    )


def test_addresses_as_text():
    async def test(connection):
        row = (await connection.execute(sa.select(sa.cast("10.0.0.1/8", pg.INET), sa.cast("10.0.0.0/8", pg.CIDR)))).one()
        assert row == ("10.0.0.1/8", "10.0.0.0/8")

    run(test, native_inet_types=False)


@CACHES
def test_zones(cache):
    async def test(connection):
        await connection.execute(sa.text("set time zone 'Asia/Kolkata'"))
        moment = dt.datetime(2026, 7, 1, 12, tzinfo=EAST)
        kind = sa.DateTime(timezone=True)
        got = await connection.scalar(sa.select(sa.cast(moment, kind)))
        assert got == moment and got.tzinfo is UTC
        assert await connection.scalar(sa.select(sa.cast(sa.cast(moment, kind), sa.Text))) == "2026-07-01 12:00:00+05:30"
        assert await connection.scalar(sa.select(sa.cast(dt.time(1, tzinfo=EAST), sa.Time(timezone=True)))) == dt.time(1, tzinfo=EAST)

    run(test, connect_args={"statement_cache_size": cache})


def test_a_zone_where_there_is_none_is_refused():
    async def test(connection):
        with pytest.raises(sa.exc.DataError, match=r"parameter \$1 of type timestamp: expected a datetime.datetime without tzinfo"):
            await connection.scalar(sa.select(sa.cast(dt.datetime(2026, 1, 1, tzinfo=UTC), sa.DateTime)))

    run(test)


@CACHES
def test_lists_of_in(cache):
    async def test(connection):
        number = sa.func.generate_series(1, 5).column_valued("n")
        for values, expected in (([2, 4, 9], [2, 4]), ([], []), ([5], [5]), (list(range(3000)), [1, 2, 3, 4, 5])):
            assert (await connection.scalars(sa.select(number).where(number.in_(values)))).all() == expected
        assert (await connection.scalars(sa.select(number).where(number.not_in([])))).all() == [1, 2, 3, 4, 5]
        assert (await connection.scalars(sa.select(number).where(number == sa.any_(sa.cast([1, 2], pg.ARRAY(sa.Integer)))))).all() == [1, 2]
        assert (await connection.execute(sa.select(number).where(sa.tuple_(number, number + 1).in_([(1, 2), (3, 5)])))).all() == [(1,)]
        plain = sa.text("select n from generate_series(1, 5) n where n in :some").bindparams(sa.bindparam("some", expanding=True))
        assert (await connection.scalars(plain, {"some": [1, 9]})).all() == [1]

    run(test, connect_args={"statement_cache_size": cache})


def test_numbers_that_do_not_fit():
    async def test(connection):
        for kind, value in ((sa.Integer, 2**31), (sa.SmallInteger, -(2**15) - 1), (sa.BigInteger, 2**63)):
            with pytest.raises(sa.exc.DataError, match=r"parameter \$1 of type \w+: expected an int from") as caught:
                await connection.scalar(sa.select(sa.cast(value, kind)))
            assert isinstance(caught.value.driver_exception, pgpoll.ParameterError)
        with pytest.raises(sa.exc.DataError, match="expected str, got int"):
            await connection.scalar(sa.select(sa.literal(5, sa.String)))
        # Nothing was sent: the transaction goes on.
        assert await connection.scalar(sa.select(sa.literal(2**31))) == 2**31
        with pytest.raises(sa.exc.DataError):
            await connection.execute(sa.text("select 2147483647 + 1"))

    run(test)


@CACHES
def test_ranges_of_many_parts(cache):
    async def test(connection):
        if await connection.run_sync(lambda sync: sync.dialect.server_version_info) < (14,):
            pytest.skip("multiranges are there from version 14 on")
        value = pg.MultiRange([pg.Range(1, 5), pg.Range(7, None)])
        assert await connection.scalar(sa.select(sa.cast(value, pg.INT4MULTIRANGE))) == value
        assert await connection.scalar(sa.select(sa.cast(pg.MultiRange([]), pg.INT8MULTIRANGE))) == []
        assert await connection.scalar(sa.text("select cast(:value as int4multirange)"), {"value": "{[1,5)}"}) == [pgpoll.Range(1, 5)]
        days = pg.MultiRange([pg.Range(dt.datetime(2026, 1, 1, tzinfo=UTC), None, bounds="(]")])
        assert (await connection.scalar(sa.select(sa.cast(days, pg.TSTZMULTIRANGE))))[0].lower == days[0].lower

    run(test, connect_args={"statement_cache_size": cache})


def test_extensions_types():
    async def test(connection):
        for name in ("hstore", "citext"):
            if not await connection.scalar(sa.text("select count(*) from pg_available_extensions where name = :name"), {"name": name}):
                pytest.skip(f"the server has no {name}")
            await connection.execute(sa.text(f"create extension if not exists {name}"))
        table = sa.Table("sa_extended", sa.MetaData(), sa.Column("pairs", pg.HSTORE), sa.Column("word", pg.CITEXT))
        await connection.run_sync(table.metadata.create_all)
        await connection.execute(sa.insert(table).values(pairs={"a": "1", 'b"': None}, word="Word"))
        assert (await connection.execute(sa.select(table).where(table.c.word == "WORD"))).all() == [({"a": "1", 'b"': None}, "Word")]
        assert await connection.scalar(sa.select(table.c.pairs["a"])) == "1"

    run(test)
