"""Cancelled tasks and timeouts: the connection is clean afterwards, or says that it is lost."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest
from ways import gather, on_trio, sleep, start, wait_for

import pgpoll
from pgpoll import errors


async def busy(connection, other) -> None:
    """Waits until the server executes something for a connection."""
    while not await other.fetchval("select count(*) from pg_stat_activity where pid = $1 and state = 'active'", connection.backend_pid):
        await sleep(0.002)


def test_cancelled_tasks(run):
    async def test(connection):
        other = await pgpoll.connect()
        message = "enough" if sys.version_info >= (3, 11) or on_trio() else None  # before, a task of asyncio's does not hand it on
        for stop in ("cancel", "wait_for"):
            if stop == "cancel":
                task = start(connection.fetch("select pg_sleep(1000)"))
                await busy(connection, other)
                task.cancel("enough")
                with pytest.raises(asyncio.CancelledError, match=message):
                    await task
            else:
                with pytest.raises(asyncio.TimeoutError):
                    await wait_for(connection.fetch("select pg_sleep(1000)"), 0.05)
            began = time.monotonic()
            assert await connection.fetchval("select 1") == 1
            assert time.monotonic() - began < 30
        await other.close()

    run(test)


def test_timeouts(run):
    async def test(connection):
        with pytest.raises(pgpoll.QueryTimeout) as caught:
            await connection.fetch("select pg_sleep(1000)", timeout=0.05)
        assert isinstance(caught.value, asyncio.TimeoutError) and caught.value.sqlstate == "57014"
        assert await connection.fetchval("select 2") == 2
        with pytest.raises(pgpoll.QueryTimeout):
            await connection.execute("select pg_sleep(1000)", timeout=0.05)
        assert await connection.fetchval("select $1::int4", 3, timeout=60) == 3

    run(test)


def test_cancel_while_the_line_is_shared(run):
    async def test(connection):
        slow = start(connection.fetchval("select pg_sleep(0.2) is null"))
        await sleep(0.02)
        shared = [start(connection.fetchval("select $1::int4", number)) for number in range(10)]
        await sleep(0.02)
        slow.cancel()
        shared[4].cancel()
        done = await gather(*shared, return_exceptions=True)
        assert [number for number in range(10) if done[number] != number] == [4]
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert await connection.fetchval("select 1") == 1

    run(test)


def test_cancelled_at_every_await(run):
    """A task with each kind of operation is cancelled after each number of its steps."""

    async def test(connection):
        await connection.execute("create temp table t (a int)")

        async def work():
            await connection.fetchval("select $1::int4", 1)
            async with connection.transaction():
                await connection.executemany("insert into t values ($1)", [(at,) for at in range(10)])
                await connection.copy_in("copy t from stdin", b"1\n2\n")
            await connection.copy_out("copy t to stdout")
            async for _ in connection.batches("select generate_series(1, 10)", size=4):
                pass
            await connection.copy_records("t", [(1,), (2,)])
            await (await connection.prepare("select 5")).fetchval()

        finished = False
        for steps in range(0, 100000, 5):
            task = start(work())
            for _ in range(steps):
                await sleep(0)
            task.cancel()
            try:
                await task
                finished = True
            except asyncio.CancelledError:
                pass
            assert await connection.fetchval("select $1::int4", steps) == steps
            assert connection.transaction_status == "idle"
            assert await connection.fetchval("select count(*) from t") % 2 == 0
            if finished:
                break
        assert finished

    run(test)


def test_cancel_of_the_connection(run):
    async def test(connection):
        task = start(connection.fetch("select pg_sleep(1000)"))
        await sleep(0.05)
        connection.cancel()
        with pytest.raises((errors.QueryCanceled, pgpoll.InterfaceError)):
            await task
        assert await connection.fetchval("select 1") == 1

    run(test)


def test_connecting_is_cancelled_or_too_slow(run_alone):
    async def test():
        import socket

        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        with pytest.raises(pgpoll.ConnectionLost, match="took more than"):
            await pgpoll.connect(f"host=127.0.0.1 port={port} user=x sslmode=disable", timeout=0.1)
        task = start(pgpoll.connect(f"host=127.0.0.1 port={port} user=x"))
        await sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        listening.close()

    run_alone(test)


def test_what_has_arrived_and_was_not_taken(run):
    """What is given up then is an error, not an empty result."""

    async def test(connection):
        for _ in range(2):  # the second time it is prepared
            for give in (connection.fetch, connection.fetchval, connection.execute, connection.prepare):
                task = start(give("select 1"))
                while not connection._line.busy and not task.done():
                    await sleep(0)
                if task.done():  # trio turns as it likes
                    await task
                    continue
                time.sleep(0.02)
                connection._line.send()
                connection.cancel()
                with pytest.raises(pgpoll.Error):
                    await task
            assert await connection.fetch("select 1") == [(1,)]

    run(test)


def test_what_was_being_prepared(run):
    async def test(connection):
        before = await connection.fetchval("select count(*) from pg_prepared_statements")
        for number in range(3):
            busy = start(connection.fetchval("select pg_sleep(0.2) is null"))
            await sleep(0.005)
            preparing = start(connection.prepare(f"select {number}, $1::int4"))
            behind = start(connection.execute("select 1"))  # so that it is not stopped
            await sleep(0.005)
            preparing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await preparing
            assert (await busy, await behind) == (False, "SELECT 1")
        assert await connection.fetchval("select count(*) from pg_prepared_statements") == before + 1

        connection._cache_size = 1
        for number in range(10):  # what leaves the cache while a cursor has the line
            preparing = start(connection.fetchval(f"select {number} + $1::int4", 1))
            await sleep(0)
            async for _ in connection.cursor("select generate_series(1, 20)", prefetch=3):
                await sleep(0)
            assert await preparing == number + 1
        assert await connection.fetchval("select count(*) from pg_prepared_statements") <= 4

    run(test)
