"""Transactions have the connection for themselves, and end as they should."""

from __future__ import annotations

import asyncio

import pytest
from ways import gather, sleep, start

import pgpoll
from pgpoll import errors


def test_commit_rollback_savepoint(run):
    async def test(connection):
        await connection.execute("create temp table t (a int)")
        async with connection.transaction():
            await connection.execute("insert into t values ($1)", 1)
            with pytest.raises(ZeroDivisionError):
                async with connection.transaction():
                    await connection.execute("insert into t values ($1)", 2)
                    raise ZeroDivisionError
            async with connection.transaction():
                await connection.execute("insert into t values ($1)", 3)
        with pytest.raises(errors.DivisionByZero):
            async with connection.transaction():
                await connection.execute("delete from t")
                await connection.execute("select 1/0")
        assert [row[0] for row in await connection.fetch("select a from t order by a")] == [1, 3]
        with pytest.raises(errors.InFailedSQLTransaction):
            async with connection.transaction():
                with pytest.raises(errors.DivisionByZero):
                    await connection.execute("select 1/0")
        async with connection.transaction(isolation="serializable", readonly=True):
            assert await connection.fetchval("show transaction_isolation") == "serializable"
            with pytest.raises(errors.ReadOnlySQLTransaction):
                async with connection.transaction():
                    await connection.execute("create table never (a int)")
        assert connection.transaction_status == "idle"
        with pytest.raises(pgpoll.InterfaceError, match="isolation is one of"):
            connection.transaction(isolation="none")

    run(test)


def test_what_a_savepoint_can_have(run):
    async def test(connection):
        await connection.execute("create temp table kept (a int)")
        async with connection.transaction(isolation="repeatable read"):
            await connection.execute("insert into kept values (1)")
            with pytest.raises(errors.ActiveSQLTransaction, match="ISOLATION LEVEL"):
                async with connection.transaction(isolation="serializable"):
                    raise AssertionError
            with pytest.raises(errors.PostgresError, match="DEFERRABLE"):
                await connection.transaction(deferrable=True).start()
            async with connection.transaction(isolation="repeatable_read"):
                await connection.execute("insert into kept values (2)")
            with pytest.raises(errors.ReadOnlySQLTransaction):
                async with connection.transaction(readonly=True):
                    await connection.execute("create table never (a int)")
            await connection.execute("insert into kept values (3)")
        assert await connection.fetchval("select sum(a) from kept") == 6

    run(test)


def test_others_wait_and_children_do_not(run):
    async def test(connection):
        await connection.execute("create temp table t (a int)")
        order = []

        async def other(number):
            await connection.execute("insert into t values ($1)", number)
            order.append(number)

        async def transaction(number):
            async with connection.transaction():
                await gather(*(connection.fetchval("select $1::int4", each) for each in range(5)))
                await sleep(0.01)
                await connection.execute("insert into t values ($1)", number)
                order.append(number)

        first = start(transaction(1))
        await sleep(0)
        while connection.transaction_status != "in transaction":
            await sleep(0.001)
        await gather(first, other(2), transaction(3), other(4))
        assert order[0] == 1
        assert await connection.fetchval("select count(*) from t") == 4

    run(test)


def test_two_connections_in_one_task(run):
    async def test(connection):
        async with await pgpoll.connect() as second, connection.transaction(), second.transaction():
            assert await connection.fetchval("select 1") == 1
            assert await second.fetchval("select 2") == 2

    run(test)


def test_cancelled_transaction_is_rolled_back(run):
    async def test(connection):
        await connection.execute("create temp table t (a int)")

        async def work():
            async with connection.transaction():
                await connection.execute("insert into t values (1)")
                await connection.execute("select pg_sleep(100)")

        task = start(work())
        while connection.transaction_status != "in transaction":
            await sleep(0.001)
        await sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await connection.fetchval("select count(*) from t") == 0
        assert connection.transaction_status == "idle"

    run(test)


def test_cancelled_while_it_ends(run):
    async def test(connection):
        children = []

        async def work():
            async with connection.transaction():
                children.append(start(connection.execute("select pg_sleep(0.1)")))  # at once: nothing is prepared for it
                await sleep(0.01)
                raise LookupError

        task = start(work())
        await sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with connection.transaction():  # not a savepoint of the one that ends meanwhile
            assert await connection.fetchval("select 1") == 1
        assert (await children[0], connection.transaction_status) == ("SELECT 1", "idle")

    run(test)


def test_a_cursor_that_is_left_open_ends_with_it(run):
    async def test(connection):
        async def leave(error):
            async with connection.transaction():
                rows = connection.cursor("select generate_series(1, 1000)")
                async for _ in rows:
                    if error:
                        raise error
                    return rows

        for error in (None, LookupError()):
            try:
                rows = await leave(error)
            except LookupError as caught:
                assert caught is error  # whose frames have the cursor
            assert connection.transaction_status == "idle"
            assert await connection.fetchval("select 1") == 1
        with pytest.raises(pgpoll.InterfaceError, match="there may be more rows"):
            while True:
                await rows.__anext__()

    async def in_a_pool(unused):
        async with pgpoll.create_pool(max_size=1) as pool:
            pids = set()
            for _ in range(2):
                async with pool.acquire() as connection:
                    rows = connection.cursor("select generate_series(1, 1000)")
                    await rows.__anext__()
                    pids.add(connection.backend_pid)
            assert len(pids) == 1

    run(test)
    run(in_a_pool)


def test_a_cursor_that_begins_as_its_transaction_ends(run):
    async def test(connection):
        async def read():
            return [row async for row in connection.cursor("select generate_series(1, 1000)")]

        async with connection.transaction():
            child = start(read())
            while not connection._preparing:
                await sleep(0)
        with pytest.raises(pgpoll.InterfaceError, match="there may be more rows"):
            await child
        assert await connection.fetchval("select 1") == 1

    run(test)


def test_who_begins_again_and_again_lets_others_go_first(run):
    async def test(connection):
        counts, over = [0, 0], []

        async def transactions(number):
            while not over:
                async with connection.transaction():
                    await connection.execute("select 1")
                counts[number] += 1

        tasks = [start(transactions(number)) for number in range(2)]
        for _ in range(20):
            assert await connection.fetchval("select 1") == 1
        over.append(True)
        await gather(*tasks)
        assert max(counts) <= 60 and min(counts) >= 5, counts

    run(test)


def test_the_statement_of_many_executions_leaves_the_cache_meanwhile(run_alone):
    async def test():
        async with await pgpoll.connect(statement_cache_size=1) as connection:
            await connection.execute("create temp table t (a int)")
            insert = "insert into t values ($1)"
            await connection.executemany(insert, [(0,)])
            other, count = await gather(
                start(connection.fetchval("select $1::int4", 5)),
                start(connection.executemany(insert, ((number,) for number in range(12_000)))),
            )
            assert (other, count, await connection.fetchval("select count(*) from t")) == (5, 12_000, 12_001)

    run_alone(test)
