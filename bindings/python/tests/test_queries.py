"""Queries, rows, many at once."""

from __future__ import annotations

import pytest
from ways import collect, gather, run_on, sleep, start

import pgpoll
from pgpoll import errors
from pgpoll._bridge import RESULT


def test_rows(run):
    async def test(connection):
        rows = await connection.fetch("select n, n::text as text from generate_series(1, $1::int4) n", 3)
        assert [tuple(row) for row in rows] == [(1, "1"), (2, "2"), (3, "3")]
        row = rows[1]
        assert (row["n"], row["text"], row[0], row[-1], row[:1], len(row)) == (2, "2", 2, "2", (2,), 2)
        assert (list(row.keys()), list(row.values()), list(row.items())) == (
            ["n", "text"],
            [2, "2"],
            [("n", 2), ("text", "2")],
        )
        assert (dict(row), "n" in row, "x" in row, row.get("x"), row.get("x", 5)) == (
            {"n": 2, "text": "2"},
            True,
            False,
            None,
            5,
        )
        assert (repr(row), row == (2, "2"), row == rows[1], hash(row) == hash((2, "2"))) == (
            "<Record n=2 text='2'>",
            True,
            True,
            True,
        )
        with pytest.raises(KeyError):
            row["x"]
        with pytest.raises(IndexError):
            row[2]
        assert await connection.fetchrow("select 1 where false") is None
        assert await connection.fetchval("select 1 where false") is None
        assert await connection.fetchval("select 1, $1::text", "b", column=1) == "b"
        assert await connection.fetch("select 1 where false") == []
        assert [len(row) for row in await connection.fetch("select from generate_series(1, 2)")] == [0, 0]

    run(test)


def test_a_row_without_columns(run):
    async def test(connection):
        row = await connection.fetchrow("select")
        assert (row, len(row), repr(row)) == ((), 0, "<Record>")

    run(test)


def test_errors_as_text(run):
    async def test(connection):
        await connection.execute("create temp table t (a int primary key); insert into t values (1)")
        with pytest.raises(errors.UniqueViolation) as caught:
            await connection.execute("insert into t values (1)")
        assert str(caught.value) == f"{caught.value.message}\nDETAIL:  Key (a)=(1) already exists."
        with pytest.raises(errors.UndefinedFunction) as caught:
            await connection.execute("select no_such(1)")
        assert str(caught.value).startswith("function no_such(integer) does not exist\n") and "HINT:  " in str(caught.value)

    run(test)


def test_large_results_come_whole(run):
    async def test(connection):
        rows = await connection.fetch("select n, repeat('x', n % 100) from generate_series(1, 50000) n")
        assert len(rows) == 50000
        assert all(row[0] == at and len(row[1]) == at % 100 for at, row in enumerate(rows, 1))
        assert len(await connection.fetchval("select repeat('y', 20000000)")) == 20000000

    run(test)


def test_commands(run):
    async def test(connection):
        assert await connection.execute("create temp table t (a int, b text); insert into t values (1, 'x')") == "INSERT 0 1"
        assert await connection.execute("insert into t select $1, 'y'", 2) == "INSERT 0 1"
        assert await connection.execute("") == ""
        with pytest.raises(errors.UndefinedTable) as caught:
            await connection.execute("select * from no_such_table")
        assert (caught.value.sqlstate, caught.value.severity, caught.value.position) == ("42P01", "ERROR", 15)
        with pytest.raises(errors.PostgresSyntaxError):
            await connection.fetch("selec 1")
        assert await connection.fetchval("select count(*) from t") == 2

    run(test)


def test_results_with_columns_and_tag(run):
    async def test(connection):
        for size in (100, 0):
            connection._cache_size = size
            assert await connection._run(RESULT, "select $1::int4 as a, 'x' as b where $1 > 0", (1,), None) == (
                (("a", 23, -1), ("b", 25, -1)),
                [(1, "x")],
                "SELECT 1",
            )
            assert await connection._run(RESULT, "select 1 as a where false", (), None) == ((("a", 23, -1),), [], "SELECT 0")
            assert await connection._run(RESULT, "create temp table if not exists t (a int)", (), None) == (None, None, "CREATE TABLE")
            assert await connection._run(RESULT, "insert into t values (1)", (), None) == (None, None, "INSERT 0 1")
            assert await connection._run(RESULT, "", (), None) is None
            with pytest.raises(errors.DivisionByZero):
                await connection._run(RESULT, "select 1 / (3 - n) from generate_series(1, 5) n", (), None)
        # Of several statements the last one's.
        assert await connection._simple("select 1 as a; select 2 as b, 3 as c", RESULT) == (
            (("b", 23, -1), ("c", 23, -1)),
            [(2, 3)],
            "SELECT 1",
        )
        assert await connection._simple("select 1 as a; insert into t values (1)", RESULT) == (None, None, "INSERT 0 1")

    run(test)


def test_executemany(run):
    async def test(connection):
        await connection.execute("create temp table t (a int primary key, b text)")
        assert await connection.executemany("insert into t values ($1, $2)", []) == 0
        rows = ((at, None if at % 2 else str(at)) for at in range(20000))
        assert await connection.executemany("insert into t values ($1, $2)", rows) == 20000
        assert await connection.executemany("update t set b = b where a < $1", [(10,), (0,), (5,)]) == 15
        assert await connection.fetchval("select count(*) from t where b is null") == 10000
        # All or nothing, be it one part or several.
        for count in (10, 15000):
            with pytest.raises(errors.UniqueViolation):
                await connection.executemany("insert into t values ($1, $2)", [(20000 + at, "") for at in range(count)] + [(1, "")])
            assert await connection.fetchval("select count(*) from t") == 20000
        with pytest.raises(pgpoll.ParameterError, match=r"\$2.*text.*expected str, got int"):
            await connection.executemany("insert into t values ($1, $2)", [(30000, "x"), (30001, 5)])
        assert await connection.fetchval("select count(*) from t") == 20000
        await connection.executemany("insert into t values ($1, $2)", [(50000 + at, "z" * 3_000_000) for at in range(10)])
        assert await connection.fetchval("select count(*) from t") == 20010
        # Nothing comes between, though it is more than is queued at once, and other tasks ask meanwhile.
        rows = [(60000 + at, "z" * 100_000) for at in range(400)] + [(1, "")]
        many = connection.executemany("insert into t values ($1, $2)", rows)
        failed, *answers = await gather(many, *(connection.fetchval("select 1") for _ in range(5)), return_exceptions=True)
        assert isinstance(failed, errors.UniqueViolation)
        assert answers == [1] * 5
        assert await connection.fetchval("select count(*) from t") == 20010

    run(test)


def test_many_tasks_share_the_line(run):
    async def test(connection):
        async def one(number: int) -> int:
            for _ in range(20):
                assert await connection.fetchval("select $1::int4 + 1", number) == number + 1
            with pytest.raises(errors.DivisionByZero):
                await connection.fetchval("select 1 / ($1::int4 - $1)", number)
            with pytest.raises(pgpoll.ParameterError):
                await connection.fetchval("select $1::int4 + 1", "x")
            return number

        assert await gather(*(one(number) for number in range(50))) == list(range(50))
        big = await gather(*(connection.fetch("select repeat('x', 10000) from generate_series(1, $1::int4)", 100) for _ in range(20)))
        assert [len(rows) for rows in big] == [100] * 20

    run(test)


def test_prepared(run):
    async def test(connection):
        statement = await connection.prepare("select $1::int4 as a, $2::text as b")
        assert (statement.parameters, [column[:2] for column in statement.columns]) == (
            (23, 25),
            [("a", 23), ("b", 25)],
        )
        assert tuple(await statement.fetchrow(1, "x")) == (1, "x")
        assert await statement.fetchval(1, "x", column=1) == "x"
        assert len(await statement.fetch(1, "x")) == 1
        assert await statement.execute(1, "x") == "SELECT 1"
        await statement.close()

    run(test)


def test_cache_is_bounded_and_heals(run):
    async def test(connection):
        connection._cache_size = 5
        for number in range(20):
            assert await connection.fetchval(f"select {number}") == number
        assert len(connection._line.statements) == 5
        assert await connection.fetchval("select count(*) from pg_prepared_statements where name like 'pgpoll_%'") <= 6
        await connection.execute("create temp table t as select 1 as a")
        assert dict(await connection.fetchrow("select * from t")) == {"a": 1}
        await connection.execute("alter table t add b text default 'new'")
        assert dict(await connection.fetchrow("select * from t")) == {"a": 1, "b": "new"}
        assert dict(await connection.fetchrow("select * from t")) == {"a": 1, "b": "new"}
        await connection.execute("alter table t rename a to c; alter table t alter c type text")
        assert dict(await connection.fetchrow("select * from t")) == {"c": "1", "b": "new"}
        await connection.execute("deallocate all")
        assert dict(await connection.fetchrow("select * from t")) == {"c": "1", "b": "new"}

    run(test)


def test_a_statement_that_leaves_the_cache_before_its_turn(way):
    async def test():
        async with await pgpoll.connect(statement_cache_size=1, transport=way == "transport") as connection:
            waits = start(connection.executemany("select $1::int4", iter([(1,), (2,)])))
            await sleep(0)
            async with connection.transaction():
                await connection.fetchval("select 1")
            assert await waits == 2

    run_on(way, test)


def test_executemany_lets_others_have_their_turns(run):
    """And sends what it has: rows that are still to be made wait for no turn of the loop, however many there are."""

    async def test(connection):
        turns, seen = 0, []

        async def others():
            nonlocal turns
            while True:
                turns += 1
                await sleep(0)

        def rows():
            for number in range(50_000):
                if number % 5_000 == 0:
                    seen.append(turns)
                yield (number,)

        ticking = start(others())
        assert await connection.executemany("select $1::int4", rows()) == 50_000
        ticking.cancel()
        assert len(set(seen)) == len(seen) == 10

    run(test)


def test_executemany_heals(run):
    async def test(connection):
        await connection.execute("create temp table t (a int)")
        insert, rows = "insert into t values ($1)", [(1,), (2,)]
        by_hand = await connection.prepare("insert into t values ($1 + 1)")
        for work in (lambda: connection.executemany(insert, rows), lambda: by_hand.executemany(rows)):
            assert await work() == 2
            await connection.execute("do $$ begin execute 'deallocate all'; end $$")
            assert await work() == 2
        assert await connection.fetchval("select count(*) from t") == 8

    run(test)


def test_what_shares_the_line_heals_too(run):
    async def test(connection):
        async def all_columns():
            done = await gather(*(connection.fetchrow("select * from t where $1 > 0", number) for number in range(1, 20)))
            assert len({tuple(row.keys()) for row in done}) == 1
            return list(done[0].keys())

        await connection.execute("create temp table t as select 1 as a")
        assert await all_columns() == ["a"]
        for name in "bcd":
            await connection.execute(f"alter table t add {name} text")
            assert await all_columns() == ["a", *"bcd"[: "bcd".index(name) + 1]]
            await connection.execute("do 'begin deallocate all; end'")  # the tag does not say so
            await all_columns()
        statement = await connection.prepare("select * from t")
        await connection.execute("alter table t rename d to e; alter table t rename e to d")
        await connection.execute("alter table t alter d type int using 5")
        assert (await statement.fetchrow())["d"] == 5
        with pytest.raises(errors.FeatureNotSupported):
            async with connection.transaction():
                await connection.execute("alter table t drop b")
                await connection.fetchrow("select * from t where $1 > 0", 1)
        assert await all_columns() == ["a", "b", "c", "d"]

    run(test)


def test_cursors(run):
    async def test(connection):
        sizes = [len(batch) async for batch in connection.batches("select generate_series(1, $1::int4)", 10, size=4)]
        assert sizes == [4, 4, 2]
        assert [row[0] async for row in connection.cursor("select generate_series(1, 7)", prefetch=3)] == list(range(1, 8))
        async for row in connection.cursor("select generate_series(1, 1000000)"):
            if row[0] == 120:
                break
        collect()
        assert await connection.fetchval("select 5") == 5
        with pytest.raises(errors.DivisionByZero):
            async for _ in connection.batches("select 1 / (5 - n) from generate_series(1, 10) n", size=2):
                pass
        assert await connection.fetchval("select 6") == 6
        async with connection.transaction():
            assert [row[0] async for row in connection.cursor("select generate_series(1, 3)", prefetch=3)] == [1, 2, 3]

    run(test)


def test_pipeline(run):
    async def test(connection):
        async with connection.pipeline() as pipeline:
            values = [pipeline.fetchval("select $1::int4", number) for number in range(10)]
            rows, row, tag = pipeline.fetch("select 1"), pipeline.fetchrow("select 2"), pipeline.execute("select 3")
        assert ([value.result() for value in values], rows.result(), row.result(), tag.result()) == (
            list(range(10)),
            [(1,)],
            (2,),
            "SELECT 1",
        )
        with pytest.raises(errors.DivisionByZero):
            async with connection.pipeline() as pipeline:
                failing, good = pipeline.fetchval("select 1 / 0"), pipeline.fetchval("select 5")
        assert good.result() == 5 and failing.exception()
        with pytest.raises(ZeroDivisionError):
            async with connection.pipeline() as pipeline:
                pipeline.fetch("select pg_sleep(1000)")
                raise ZeroDivisionError
        assert await connection.fetchval("select 1") == 1

    run(test)
