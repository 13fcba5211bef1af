"""The pool lends what is good, and takes back what is not."""

from __future__ import annotations

import asyncio

import pytest
from ways import gather, sleep, start

import pgpoll


def test_pool(run_alone):
    async def test():
        async with pgpoll.create_pool(min_size=1, max_size=3) as pool:
            assert (pool.size, pool.idle) == (1, 1)
            assert await gather(*(pool.fetchval("select $1::int4", number) for number in range(20))) == list(range(20))
            assert pool.size <= 3
            connection = await pool.acquire()
            await connection.execute("begin; set statement_timeout = 5000")
            pending = start(connection.fetch("select pg_sleep(1000)"))
            await sleep(0.02)
            await pool.release(connection)
            with pytest.raises(pgpoll.Error):
                await pending
            async with await pgpoll.connect() as stranger:
                with pytest.raises(pgpoll.InterfaceError, match="released already"):
                    await pool.release(stranger)
            assert await pool.fetchval("select 1, 2", column=1) == 2
            assert await pool.executemany("select $1::int", [(1,), (2,)]) == 2
            async with pool.acquire() as again:
                assert (await again.fetchval("show statement_timeout"), again.transaction_status) == ("0", "idle")
            taken = [await pool.acquire() for _ in range(3)]
            with pytest.raises(asyncio.TimeoutError):
                await pool.acquire(timeout=0.02)
            waiting = start(pool.fetchval("select 7"))
            await sleep(0.01)
            await pool.release(taken.pop())
            assert await waiting == 7
            for each in taken:
                await pool.release(each)
        with pytest.raises(pgpoll.InterfaceError, match="closed"):
            await pool.fetchval("select 1")
        with pytest.raises(pgpoll.InterfaceError, match="min_size"):
            pgpoll.create_pool(min_size=5, max_size=1)

    run_alone(test)


def test_lost_and_old_connections_are_replaced(run_alone):
    async def test():
        made = []

        async def setup(connection):
            made.append(connection.backend_pid)

        async with pgpoll.create_pool(min_size=2, max_size=2, setup=setup) as pool:
            async with pool.acquire() as one, pool.acquire() as two:
                await one.fetchval("select pg_terminate_backend($1)", two.backend_pid)
                lost = two.backend_pid
            for _ in range(5):
                assert await pool.fetchval("select pg_backend_pid()") != lost
            pool._lifetime = 0.0
            before = len(made)
            assert await pool.fetchval("select 1") == 1
            assert len(made) > before

    run_alone(test)


def test_cancelled_acquire(run_alone):
    async def test():
        async with pgpoll.create_pool(min_size=0, max_size=1) as pool:
            connection = await pool.acquire()
            waiting = [start(pool.fetchval("select 1")) for _ in range(5)]
            await sleep(0.01)
            waiting[0].cancel()
            await pool.release(connection)
            waiting[1].cancel()
            done = await gather(*waiting, return_exceptions=True)
            assert done[2:] == [1, 1, 1]

    run_alone(test)


def test_who_goes_on_after_the_connection_was_given_back_is_told(run_alone):
    async def test():
        async def commits(connection):
            async with connection.transaction():
                await connection.execute("insert into given values (1)")
                await given_back()

        async def rolls_back(connection):
            async with connection.transaction():
                await connection.execute("insert into given values (1)")
                await given_back()
                raise LookupError("its own")

        async def commits_inside(connection):
            await connection.transaction().start()
            await commits(connection)

        async def rolls_back_inside(connection):
            await connection.transaction().start()
            await rolls_back(connection)

        async def reads(connection):
            async for _ in connection.cursor("select generate_series(1, 1000)"):
                await given_back()

        async def given_back():
            states.append("begun")
            while "given back" not in states:
                await sleep(0.001)

        states: list[str] = []
        async with pgpoll.create_pool(max_size=1) as pool:
            await pool.execute("create temp table given (a int)")
            for work, kind, message in (
                (commits, pgpoll.InterfaceError, "rolled back when its connection was given back"),
                (rolls_back, LookupError, "its own"),
                (commits_inside, pgpoll.InterfaceError, "rolled back when its connection was given back"),
                (rolls_back_inside, LookupError, "its own"),
                (reads, pgpoll.InterfaceError, "there may be more rows"),
            ):
                states.clear()
                async with pool.acquire() as connection:
                    task = start(work(connection))
                    while not states:
                        await sleep(0.001)
                async with pool.acquire() as connection, connection.transaction():
                    await connection.execute("insert into given values (2)")
                    states.append("given back")
                    with pytest.raises(kind, match=message):
                        await task
            assert [row[0] for row in await pool.fetch("select a from given")] == [2] * 5

    run_alone(test)
