"""trio, and anyio with either backend: cancel scopes cancel again and again, and the connection is clean afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import trio

import pgpoll


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[Any], Awaitable[Any]]], Any]:
    """`run(test)`: the test gets a connection of its own, and a minute."""

    async def with_connection(test: Callable[[Any], Awaitable[Any]]) -> None:
        with anyio.fail_after(60):
            async with await pgpoll.connect() as connection:
                await test(connection)

    return lambda test: anyio.run(with_connection, test, backend=request.param)


async def is_good(connection) -> None:
    assert await connection.fetchval("select $1::int4", 5) == 5
    assert connection.transaction_status == "idle"


def test_time_limits_stop_the_server(run):
    async def test(connection):
        async with await pgpoll.connect() as other:
            began = time.monotonic()
            with anyio.move_on_after(0.05) as scope:
                await connection.fetch("select pg_sleep(1000)")
            assert scope.cancelled_caught
            with pytest.raises(TimeoutError):
                with anyio.fail_after(0.05):
                    async with connection.transaction():
                        await connection.execute("select pg_sleep(1000)")
            await is_good(connection)
            assert await other.fetchval("select state from pg_stat_activity where pid = $1", connection.backend_pid) == "idle"
            assert time.monotonic() - began < 30

    run(test)


def test_cancelled_after_any_number_of_turns(run):
    async def test(connection):
        await connection.execute("create temp table t (a int)")

        async def work(done):
            async with connection.pipeline() as pipeline:
                pipeline.fetchval("select $1::int4", 1)
                pipeline.fetchval("select 2")
            async with connection.transaction():
                await connection.executemany("insert into t values ($1)", [(at,) for at in range(10)])
                async with connection.transaction():
                    await connection.copy_in("copy t from stdin", b"1\n2\n")
            await connection.copy_out("copy t to stdout")
            async for _ in connection.batches("select generate_series(1, 10)", size=4):
                pass
            await connection.copy_records("t", [(1,), (2,)])
            await (await connection.prepare("select 5")).fetchval()
            async with connection.listen("a"):
                pass
            done.append(True)

        done: list[bool] = []
        turns = 0
        while not done:
            async with anyio.create_task_group() as group:
                group.start_soon(work, done)
                for _ in range(turns):
                    await anyio.sleep(0)
                group.cancel_scope.cancel()
            turns += 1 + turns // 10
            await is_good(connection)
            assert await connection.fetchval("select count(*) from t") % 2 == 0
        assert turns > 10

    run(test)


def test_a_savepoint_is_undone_though_its_task_is_cancelled(run):
    async def test(connection):
        await connection.execute("create temp table t (a int)")
        async with connection.transaction():
            await connection.execute("insert into t values (1)")
            with anyio.CancelScope() as scope:
                async with connection.transaction():
                    await connection.execute("insert into t values (2)")
                    scope.cancel()
                    await anyio.sleep(1)
            await connection.execute("insert into t values (3)")
        assert [row[0] for row in await connection.fetch("select a from t order by a")] == [1, 3]

    run(test)


def test_what_a_pool_has_lent_comes_back(run):
    async def test(connection):
        async with pgpoll.create_pool(min_size=2, max_size=2) as pool:
            lent, holding = set(), []

            async def work():
                async with pool.acquire() as borrowed:
                    lent.add(borrowed.backend_pid)
                    holding.append(borrowed)
                    async with borrowed.transaction():
                        await borrowed.execute("select pg_sleep(1000)")

            for _ in range(5):
                holding.clear()
                async with anyio.create_task_group() as group:
                    for _ in range(4):
                        group.start_soon(work)
                    while len(holding) < 2:
                        await anyio.sleep(0.01)
                    group.cancel_scope.cancel()
            async with pool.acquire() as one, pool.acquire() as two:
                assert {one.backend_pid, two.backend_pid} == lent  # and no third one was needed
                await is_good(one)
                await is_good(two)
            with pytest.raises(asyncio.TimeoutError):
                async with pool.acquire(), pool.acquire():
                    await pool.acquire(timeout=0.02)
            assert await pool.fetchval("select 1") == 1

    run(test)


def test_many_tasks_share_the_line(run):
    async def test(connection):
        got = []

        async def work(number):
            for _ in range(50):
                assert await connection.fetchval("select $1::int4 + 1", number) == number + 1
            got.append(number)

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(work, number)
        assert sorted(got) == list(range(20))
        with anyio.move_on_after(0.05):
            async with connection.pipeline() as pipeline:
                waiting = pipeline.fetchval("select pg_sleep(1000)")
                await waiting
        await is_good(connection)

    run(test)


def test_listening_ends_with_its_scope(run):
    async def test(connection):
        got = []

        async def listen():
            async with connection.listen("a") as listener:
                async for notification in listener:
                    got.append(notification.payload)

        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            while len(got) < 3:
                await anyio.sleep(0.01)
                await connection.execute("notify a, 'x'")
            group.cancel_scope.cancel()
        await is_good(connection)
        assert await connection.fetch("select pg_listening_channels()") == []

    run(test)


def test_a_connection_is_for_one_run():
    connection = trio.run(pgpoll.connect)

    async def use():
        with pytest.raises(pgpoll.InterfaceError, match="another event loop"):
            await connection.fetchval("select 1")
        with pytest.raises(pgpoll.InterfaceError, match="only asyncio has transports"):
            await pgpoll.connect(transport=True)

    trio.run(use)
    connection.terminate()


def test_callbacks_that_fail_end_nothing(run, caplog):
    async def test(connection):
        def fails(notice):
            raise ZeroDivisionError

        connection.add_notice_callback(fails)
        await connection.execute("do $$ begin raise notice 'x'; end $$")
        await anyio.sleep(0.01)
        await is_good(connection)

    run(test)
    assert "ZeroDivisionError" in caplog.text
