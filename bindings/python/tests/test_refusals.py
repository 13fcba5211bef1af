"""What a program of other habits may write: refused in words where it would mean something else here."""

from __future__ import annotations

import os

import pytest
from ways import collect

import pgpoll


def test_rows_that_would_be_taken_apart(run):
    async def test(connection):
        await connection.execute("create temp table t (a text)")
        for row in ("a", b"a", bytearray(b"a"), {"a": 1}, {"a"}, 1, None):
            with pytest.raises(pgpoll.InterfaceError, match=f"a row is a sequence of values, such as a tuple, not {type(row).__name__}"):
                await connection.executemany("insert into t values ($1)", [row])
            with pytest.raises(pgpoll.InterfaceError, match="a row is a sequence"):
                await connection.copy_records("t", [row])
        assert await connection.executemany("insert into t values ($1)", [("a",), ["b"], {"c": 1}.keys()]) == 3
        assert await connection.copy_records("t", [("d",), ["e"]]) == "COPY 2"
        assert await connection.fetchval("select string_agg(a, '' order by a) from t") == "abcde"
        async with await pgpoll.connect(statement_cache_size=0) as unprepared:
            with pytest.raises(pgpoll.InterfaceError, match="a row is a sequence"):
                await unprepared.executemany("select $1", ["a"])

    run(test)


def test_timeouts_that_are_no_seconds(run):
    async def test(connection):
        statement = await connection.prepare("select 1")
        for timeout in ("1", True, False, [1]):
            for work in (
                connection.execute("select 1", timeout=timeout), connection.fetch("select 1", timeout=timeout),
                connection.executemany("select $1", [("1",)], timeout=timeout), connection.prepare("select 1", timeout=timeout),
                connection.copy_out("copy (select 1) to stdout", timeout=timeout), statement.fetch(timeout=timeout),
            ):  # fmt: skip
                with pytest.raises(pgpoll.InterfaceError, match="a timeout is a number of seconds, not"):
                    await work
        for seconds in (0, -1, float("nan")):
            with pytest.raises(pgpoll.InterfaceError, match="command_timeout is above 0"):
                await pgpoll.connect(command_timeout=seconds)
        with pytest.raises(pgpoll.InterfaceError, match="command_timeout is a number"):
            await pgpoll.connect(command_timeout=True)

    run(test)


def test_paths_are_no_files(run, tmp_path):
    async def test(connection):
        for target in (tmp_path / "data", str(tmp_path / "data"), 5):
            with pytest.raises(pgpoll.InterfaceError, match="COPY gives to a file, which is open"):
                await connection.copy_out("copy (select 1) to stdout", target)
        await connection.execute("create temp table t (a int)")
        with pytest.raises(pgpoll.InterfaceError, match="COPY takes a file"):
            await connection.copy_in("copy t from stdin", tmp_path / "data")
        with pytest.raises(pgpoll.InterfaceError, match="rows to copy are an iterable"):
            await connection.copy_records("t", 5)
        assert os.listdir(tmp_path) == []
        assert await connection.fetchval("select count(*) from t") == 0

    run(test)


def test_callbacks_are_not_awaited(run):
    async def test(connection):
        async def told(notice):
            raise AssertionError

        with pytest.raises(pgpoll.InterfaceError, match="called, not awaited"):
            connection.add_notice_callback(told)
        await connection.execute("do $$ begin raise warning 'unheard'; end $$")

    run(test)


def test_decoders_of_domains(run):
    async def test(connection):
        await connection.execute("create domain pg_temp.evens as int check (value % 2 = 0)")
        with pytest.raises(pgpoll.InterfaceError, match="base type"):
            await connection.set_type_codec("pg_temp.evens", encoder=str, decoder=int)
        await connection.set_type_codec("pg_temp.evens", encoder=lambda value: str(value * 2))
        assert await connection.fetchval("select $1::pg_temp.evens", 3) == 6

    run(test)


def test_a_second_query_in_a_cursor(run):
    async def test(connection):
        async for row in connection.cursor("select generate_series(1, 100)", prefetch=10):
            for work in (connection.fetchval("select 1"), connection.execute("select 1"), connection.prepare("select 2")):
                with pytest.raises(pgpoll.InterfaceError, match="a cursor is open"):
                    await work
            if row[0] == 3:
                break
        collect()
        assert await connection.fetchval("select 1") == 1
        with pytest.raises(pgpoll.InterfaceError, match="size of 1"):
            connection.batches("select 1", size=0)

    run(test)
