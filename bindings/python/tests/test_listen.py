"""Notifications and notices."""

from __future__ import annotations

import asyncio

import pytest
from ways import gather, sleep, start

import pgpoll


def test_listen(run):
    async def test(connection):
        async with await pgpoll.connect() as other, connection.listen("a", 'B "x"') as listener:
            await other.execute('notify a, \'one\'; notify a; notify "B ""x""", \'two\'')
            got = [await listener.__anext__() for _ in range(3)]
            assert [(each.channel, each.payload) for each in got] == [("a", "one"), ("a", ""), ('B "x"', "two")]
            assert {each.pid for each in got} == {other.backend_pid}
            waiting = start(listener.__anext__())
            await sleep(0.01)
            await other.execute("select pg_notify('a', 'idle')")
            assert (await waiting).payload == "idle"
            waiting = start(listener.__anext__())
            await sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await other.execute("select pg_notify('a', 'after')")
            assert (await listener.__anext__()).payload == "after"
        assert await connection.fetch("select pg_listening_channels()") == []
        async for notification in connection.listen("c"):
            assert notification.payload == "own"
            break
        with pytest.raises(pgpoll.InterfaceError):
            connection.listen()

    async def first(connection):
        task = start(test(connection))
        while not task.done():
            await sleep(0.01)
            if connection._listeners.get("c") and not connection._line.busy:
                await connection.execute("notify c, 'own'")
        await task

    run(first)


def test_a_lost_connection_ends_listening(run):
    async def test(connection):
        async with await pgpoll.connect() as other:
            listener = connection.listen("a")
            await listener.start()
            waiting = start(listener.__anext__())
            await other.fetchval("select pg_terminate_backend($1)", connection.backend_pid)
            with pytest.raises(pgpoll.PostgresError) as caught:
                await waiting
            assert caught.value.sqlstate in ("57P01", "08006")
            assert connection.is_closed()

    run(test)


def test_a_reset_ends_listening(run_alone):
    async def test():
        async with pgpoll.create_pool(max_size=1) as pool:
            connection = await pool.acquire()
            idle, waiting = connection.listen("a"), connection.listen("a", "b")
            await idle.start()
            await waiting.start()
            task = start(waiting.__anext__())
            await sleep(0.01)
            await pool.release(connection)
            for ended in (task, idle.__anext__(), waiting.__anext__()):
                with pytest.raises(pgpoll.InterfaceError, match="reset"):
                    await ended
            await idle.stop()
            async with pool.acquire() as again, again.listen("a") as listener:
                await again.execute("notify a, 'new'")
                assert (await listener.__anext__()).payload == "new"
                assert list(idle._queue) == []

    run_alone(test)


def test_notices(run):
    async def test(connection):
        got = []
        connection.add_notice_callback(got.append)
        await connection.execute("do $$ begin raise warning 'careful %', 5 using hint = 'none'; end $$")
        assert [(each.severity, each.message, each.hint) for each in got] == [("WARNING", "careful 5", "none")]
        connection.remove_notice_callback(got.append)
        await connection.execute("do $$ begin raise warning 'again'; end $$")
        await sleep(0)
        assert len(got) == 1
        connection.add_notice_callback(got.append)
        await connection.execute(
            "create function pg_temp.warn(n int) returns int language plpgsql as $$ begin raise warning 'n %', n; return n; end $$"
        )
        for number in range(20):  # who awaits a query knows its notices
            assert await connection.fetchval("select pg_temp.warn($1)", number) == number
            assert got[-1].message == f"n {number}"
        numbers = await gather(*(connection.fetchval("select pg_temp.warn($1)", number) for number in range(20, 40)))
        assert numbers == list(range(20, 40)) and {each.message for each in got[-20:]} == {f"n {number}" for number in numbers}

    run(test)


def test_cancelled_before_it_listens(run):
    async def test(connection):
        busy = start(connection.fetchval("select pg_sleep(0.1) is null"))
        await sleep(0.01)
        listening = start(connection.listen("never", "ever").start())
        behind = start(connection.fetchval("select 1"))  # so that it is not stopped
        await sleep(0.01)
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        assert (await busy, await behind) == (False, 1)
        assert await connection.fetch("select pg_listening_channels()") == []

        async def hold():
            async with connection.transaction():
                async for _ in connection.cursor("select generate_series(1, 100)", prefetch=5):
                    await sleep(0)

        busy = start(connection.fetchval("select pg_sleep(0.1) is null"))
        await sleep(0.01)
        listening, holding = start(connection.listen("never").start()), start(hold())
        await sleep(0.01)
        listening.cancel()  # what it leaves behind waits for its turn
        with pytest.raises(asyncio.CancelledError):
            await listening
        await gather(busy, holding)
        assert await connection.fetch("select pg_listening_channels()") == []

    run(test)
