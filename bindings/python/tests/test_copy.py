"""COPY from and to files, iterables and records."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import io
import time
import uuid

import pytest
from ways import gather, run_on, sleep, start

import pgpoll
from pgpoll import errors


def test_in_and_out(run, tmp_path):
    async def test(connection):
        await connection.execute("create temp table t (a int, b text)")
        file = tmp_path / "data"
        file.write_bytes(b"".join(b"%d\trow %d\n" % (at, at) for at in range(50000)))

        async def pieces():
            for at in range(10):
                await sleep(0)
                yield f"{at}\tx\n"

        with file.open("rb") as source:
            assert await connection.copy_in("copy t from stdin", source) == "COPY 50000"
        assert await connection.copy_in("copy t from stdin", b"1\tx\n") == "COPY 1"
        assert await connection.copy_in("copy t from stdin", "1\tä\n") == "COPY 1"
        assert await connection.copy_in("copy t from stdin", (b"%d\t\\N\n" % at for at in range(3))) == "COPY 3"
        assert await connection.copy_in("copy t from stdin", pieces()) == "COPY 10"
        assert await connection.copy_in("copy t from stdin", []) == "COPY 0"
        target = io.BytesIO()
        assert await connection.copy_out("copy (select * from t limit 50000) to stdout", target) == "COPY 50000"
        assert target.getvalue() == file.read_bytes()
        got = []

        async def write(data):
            await sleep(0)
            got.append(data)

        assert await connection.copy_out("copy (select repeat('x', 1000) from generate_series(1, 30000)) to stdout", write) == "COPY 30000"
        assert sum(map(len, got)) == 30000 * 1001
        assert await connection.copy_out("copy (select 1) to stdout (format csv)") == b"1\n"
        assert await connection.fetchval("select count(*) from t") == 50015

    run(test)


def test_more_than_the_queue_holds(run):
    async def test(connection):
        await connection.execute("create temp table t (b text)")
        assert await connection.copy_in("copy t from stdin", (b"x" * 1_000_000 + b"\n" for _ in range(40))) == "COPY 40"
        assert len(await connection.copy_out("copy t to stdout")) == 40 * 1_000_001

    run(test)


def test_others_have_their_turns(run):
    """While a source gives one piece after the other without waiting."""

    async def test(connection):
        turns, seen = 0, []

        async def others():
            nonlocal turns
            while True:
                turns += 1
                await sleep(0)

        def lines():
            for number in range(8):
                seen.append(turns)
                yield f"{number}\n" * 200_000

        await connection.execute("create temp table many (a int)")
        ticking = start(others())
        assert await connection.copy_in("copy many from stdin", lines()) == "COPY 1600000"
        ticking.cancel()
        assert len(set(seen)) == 8

    run(test)


def test_failures_leave_it_clean(run):
    async def test(connection):
        await connection.execute("create temp table t (a int)")

        def broken():
            yield b"1\n"
            raise ZeroDivisionError

        async def refuses(data):
            raise ZeroDivisionError

        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await connection.copy_in("copy t from stdin", broken())
            assert await connection.fetchval("select count(*) from t") == 0
            with pytest.raises(ZeroDivisionError):
                await connection.copy_out("copy (select generate_series(1, 1000000)) to stdout", refuses)
            with pytest.raises(errors.InvalidTextRepresentation):
                await connection.copy_in("copy t from stdin", [b"x\n"])
            with pytest.raises(errors.UndefinedTable):
                await connection.copy_in("copy no_such_table from stdin", b"")
            with pytest.raises(pgpoll.InterfaceError, match="no COPY FROM STDIN"):
                await connection.copy_in("select 1", b"")
            with pytest.raises(pgpoll.InterfaceError, match="copies the other way"):
                await connection.copy_in("copy t to stdout", b"")
            with pytest.raises(pgpoll.InterfaceError, match="COPY takes a file"):
                await connection.copy_in("copy t from stdin", 5)
            async with connection.transaction():
                with pytest.raises(ZeroDivisionError):
                    async with connection.transaction():
                        await connection.copy_in("copy t from stdin", broken())
                assert await connection.fetchval("select count(*) from t") == 0
            assert await connection.fetchval("select 5") == 5

    run(test)


def test_others_wait_for_it(run):
    async def test(connection):
        await connection.execute("create temp table t (a int)")

        async def slow():
            for at in range(5):
                await sleep(0.01)
                yield b"%d\n" % at

        copied, counted = await gather(connection.copy_in("copy t from stdin", slow()), connection.fetchval("select count(*) from t"))
        assert (copied, counted) in (("COPY 5", 5), ("COPY 5", 0))

    run(test)


def test_two_at_once_are_refused(run):
    async def test(connection):
        await connection.execute("create temp table t (a int)")
        for second in ("copy t from stdin", "copy t to stdout"):
            with pytest.raises(pgpoll.InterfaceError, match="one COPY"):
                await connection.copy_in(f"copy t from stdin; {second}", b"1\n")
            with pytest.raises(pgpoll.InterfaceError, match="one COPY"):
                await connection.copy_out(f"copy t to stdout; {second}")
        assert await connection.fetchval("select 1") == 1

    run(test)


def test_records(run):
    async def test(connection):
        await connection.execute('create temp table "T x" (a int, b text, c float8, d timestamptz, e uuid, f bytea, g jsonb, h date)')
        stamp, key = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc), uuid.uuid4()
        rows = [(at, f"row {at}", at / 2, stamp, key, b"\0", {"a": at}, stamp.date()) for at in range(20000)]
        rows.append((None,) * 8)
        assert await connection.copy_records("T x", rows) == "COPY 20001"
        assert [tuple(row) for row in await connection.fetch('select * from "T x" order by a nulls last')] == rows
        assert await connection.copy_records("T x", ([5, "x"] for _ in range(2)), columns=["a", "b"], schema="pg_temp") == "COPY 2"
        await connection.execute("create temp table n (a numeric, b int[], c text)")
        rows = [(decimal.Decimal("1.5"), [1, None], 'a\tb\\n\n"'), (None, [], "")]
        assert await connection.copy_records("n", rows) == "COPY 2"
        assert [tuple(row) for row in await connection.fetch("select * from n")] == rows
        for table, row in (("T x", ("x",) * 8), ("n", (1, 5, "x"))):
            with pytest.raises(pgpoll.ParameterError, match=r"parameter \$\d of type integer"):
                await connection.copy_records(table, [row])
        for table in ("T x", "n"):
            with pytest.raises(pgpoll.InterfaceError, match="a record has 1 values"):
                await connection.copy_records(table, [(1,)])
        assert await connection.fetchval("select count(*) from n") == 2

    run(test)


def test_records_that_come_one_by_one(run):
    async def test(connection):
        await connection.execute("create temp table t (a int, b text); create temp table n (a numeric, b text)")

        async def rows(count):
            for at in range(count):
                if at % 500 == 0:
                    await sleep(0)
                yield at, f"row {at}"

        async def broken():
            yield 1, "x"
            raise ZeroDivisionError

        for table in ("t", "n"):  # in binary, as text
            for count in (0, 1, 2500, 3000):
                assert await connection.copy_records(table, rows(count)) == f"COPY {count}"
            assert await connection.fetchrow(f"select count(*), sum(a), max(b) from {table}") == (5501, 3123750 + 4498500, "row 999")
            with pytest.raises(ZeroDivisionError):
                await connection.copy_records(table, broken())
            with pytest.raises(pgpoll.InterfaceError, match="a record has 2 values"):
                await connection.copy_records(table, rows(1), columns=["a"])
            assert await connection.fetchval(f"select count(*) from {table}") == 5501

    run(test)


def test_nothing_is_left_without_a_cache(run_alone):
    async def test():
        async with await pgpoll.connect(statement_cache_size=0) as connection:
            await connection.execute("create temp table t (a int); create temp table n (a numeric)")
            for table in ("t", "n", "t"):
                assert await connection.copy_records(table, [(1,), (None,)]) == "COPY 2"
            assert await connection.fetchval("select count(*) from t") == 4
            assert await connection.fetch("select name from pg_prepared_statements where name <> ''") == []

    run_alone(test)


def test_answers_of_others_that_are_there_already(run):
    async def test(connection):
        await connection.execute("create temp table t (a int)")
        for number in range(3):
            other = start(connection.fetchval("select $1::int4", number))
            await sleep(0.01)
            busy = start(connection.fetchval("select pg_sleep(0.02) is null"))
            await sleep(0)
            await sleep(0)
            time.sleep(0.05)  # the loop knows nothing of what comes now
            assert await connection.copy_in("copy t from stdin", b"1\n") == "COPY 1"
            assert (await other, await busy) == (number, False)

    run(test)


def test_given_up_while_the_server_works(run):
    async def test(connection):
        copying = start(connection.copy_out("copy (select pg_sleep(30)) to stdout"))
        await sleep(0.05)
        copying.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await copying
        assert await connection.fetchval("select 1") == 1
        assert time.monotonic() - began < 4

    run(test)


def test_timeouts(way, run):
    async def slow():
        for at in range(10):
            await sleep(0.03)
            yield b"%d\n" % at

    async def of_others(connection):
        await connection.execute("create temp table t (a int)")
        with pytest.raises(pgpoll.QueryTimeout):
            await connection.fetchval("select pg_sleep(10)", timeout=0.02)
        assert await connection.copy_in("copy t from stdin", slow()) == "COPY 10"

    async def of_its_own():
        async with await pgpoll.connect(command_timeout=0.1, transport=way == "transport") as connection:
            await connection.execute("create temp table t (a int)")
            copied, counted = await gather(
                connection.copy_in("copy t from stdin", slow()), connection.fetchval("select count(*) from t"), return_exceptions=True
            )
            assert isinstance(copied, pgpoll.QueryTimeout), copied
            assert counted == 0, counted

    async def of_one(connection):
        await connection.execute("create temp table t (a int)")
        began = time.monotonic()

        async def stuck():
            yield b"1\n"
            await sleep(30)
            yield b"2\n"

        async def takes_nothing(data):
            await sleep(30)

        async def late():
            yield (1,)
            raise asyncio.TimeoutError("its own")

        for work in (
            lambda: connection.copy_in("copy t from stdin", stuck(), timeout=0.1),
            lambda: connection.copy_out("copy (select generate_series(1, 100000)) to stdout", takes_nothing, timeout=0.1),
            lambda: connection.copy_out("copy (select pg_sleep(30)) to stdout", timeout=0.1),
            lambda: connection.copy_records("t", ((row,) async for row in stuck()), timeout=0.1),
        ):
            with pytest.raises(pgpoll.QueryTimeout) as caught:
                await work()
            assert caught.value.sqlstate == "57014"
            assert await connection.fetchval("select count(*) from t") == 0
        with pytest.raises(asyncio.TimeoutError, match="its own") as caught:
            await connection.copy_records("t", late(), timeout=10)
        assert not isinstance(caught.value, pgpoll.Error)
        assert await connection.copy_in("copy t from stdin", slow(), timeout=20) == "COPY 10"
        assert await connection.copy_in("copy t from stdin", [b"1\n"], timeout=float("inf")) == "COPY 1"
        async with connection.transaction():
            with pytest.raises(pgpoll.QueryTimeout):
                async with connection.transaction():
                    await connection.copy_in("copy t from stdin", stuck(), timeout=0.1)
            assert await connection.copy_in("copy t from stdin", [b"1\n"], timeout=10) == "COPY 1"
        assert time.monotonic() - began < 20

    run(of_others)
    run(of_one)
    run_on(way, of_its_own)


def test_it_is_behind_what_was_asked_before(run):
    """Tasks that outlive their transaction ask on, many at once, while a COPY waits for its turn."""

    async def test(connection):
        await connection.execute("create temp table t (a int)")

        async def asks(number):
            for _ in range(20):
                assert await connection.fetchval("select $1::int4", number) == number

        async def leaves_tasks():
            async with connection.transaction():
                tasks = [start(connection.execute("select pg_sleep(0.1)"))]
                await sleep(0.01)
                begun.append(True)
                return [*tasks, *(start(asks(number)) for number in range(12))]

        await asks(0)
        for _ in range(3):
            begun: list[bool] = []
            leaving = start(leaves_tasks())
            while not begun:
                await sleep(0.001)
            copying = start(connection.copy_in("copy t from stdin", b"1\n"))
            await gather(*await leaving)
            assert await copying == "COPY 1"

    run(test)
