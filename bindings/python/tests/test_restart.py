"""The server is restarted in the middle of everything: whatever is awaited ends with an exception of a documented class, and pools go on."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from servers import Server
from ways import gather, run_on, sleep, start, with_connection

import pgpoll
from pgpoll import errors


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory() as folder:
        made = Server(Path(folder))
        yield made
        made.control("stop", "immediate")


async def in_a_query(connection, under_way):
    under_way()
    await connection.fetch("select pg_sleep(1000)")


async def in_a_large_result(connection, under_way):
    under_way()
    await connection.fetch("select repeat('x', 100), pg_sleep(0.001), generate_series(1, 1000000)")


async def in_a_transaction(connection, under_way):
    async with connection.transaction():
        await connection.execute("insert into t values (-1)")
        under_way()
        await connection.execute("select pg_sleep(1000)")


async def between_queries_of_a_transaction(connection, under_way):
    async with connection.transaction():
        under_way()
        while True:
            await connection.execute("insert into t values (-1)")
            await sleep(0.01)


async def in_a_copy_in(connection, under_way):
    async def rows():
        yield b"-1\n"
        under_way()
        while True:
            await sleep(0.005)
            yield b"-1\n" * 100

    await connection.copy_in("copy t from stdin", rows())


async def in_a_copy_out(connection, under_way):
    async def write(data):
        under_way()
        await sleep(0.005)

    await connection.copy_out("copy (select repeat('x', 1000), generate_series(1, 100000000)) to stdout", write)


async def in_a_cursor(connection, under_way):
    async for _ in connection.cursor("select generate_series(1, 100000000)", prefetch=5):
        under_way()
        await sleep(0.005)


async def while_it_listens(connection, under_way):
    async with connection.listen("nothing") as listener:
        under_way()
        async for _ in listener:
            pass


async def while_tasks_share_the_line(connection, under_way):
    async def work(number):
        while True:
            assert await connection.fetchval("select $1::int4", number) == number
            under_way()

    ended = await gather(*(work(number) for number in range(20)), return_exceptions=True)
    for error in ended:
        assert isinstance(error, pgpoll.PostgresError), error
    raise ended[0]


WORKS = [
    in_a_query, in_a_large_result, in_a_transaction, between_queries_of_a_transaction, in_a_copy_in, in_a_copy_out, in_a_cursor,
    while_it_listens, while_tasks_share_the_line,
]  # fmt: skip

# A server that waits for us to read (in_a_copy_out) says nothing at its end; and asyncio's transports read nothing more when a write has failed.
WRITING = {between_queries_of_a_transaction, in_a_copy_in, in_a_cursor, while_tasks_share_the_line}


async def lends_all_the_time(pool, errors_seen, over):
    while not over:
        try:
            assert await pool.fetchval("select 1") == 1
        except pgpoll.PostgresError as error:
            errors_seen[type(error)] += 1
        await sleep(0.005)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_restart(server, way, mode):
    async def test():
        options = {**server.options, "transport": way == "transport"}
        async with await pgpoll.connect(**options) as connection:
            await connection.execute("create table if not exists t (a int)")
        begun: set = set()
        connections = [await pgpoll.connect(**options) for _ in WORKS]
        tasks = [start(work(connection, lambda work=work: begun.add(work))) for work, connection in zip(WORKS, connections, strict=True)]
        over: list[bool] = []
        errors_seen: Counter = Counter()
        async with pgpoll.create_pool(min_size=3, max_size=3, **options) as idle, pgpoll.create_pool(max_size=2, **options) as busy:
            lending = [start(lends_all_the_time(busy, errors_seen, over)) for _ in range(4)]
            while len(begun) < len(WORKS):
                await sleep(0.01)
            await sleep(0.05)
            assert not any(task.done() for task in tasks)
            pids = {connection.backend_pid for connection, _ in idle._idle}

            await server.restart(mode)

            outcomes = await gather(*tasks, return_exceptions=True)
            for work, error in zip(WORKS, outcomes, strict=True):
                assert isinstance(error, (errors.AdminShutdown, errors.CrashShutdown, pgpoll.ConnectionLost)), (work, error)
                if mode == "fast" and work is not in_a_copy_out and not (way == "transport" and work in WRITING):
                    assert error.sqlstate == "57P01", (work, error)
            for connection in connections:
                assert connection.is_closed()
                with pytest.raises(pgpoll.PostgresError):
                    await connection.fetchval("select 1")
                await connection.close()

            assert {await idle.fetchval("select pg_backend_pid()") for _ in range(3)}.isdisjoint(pids)
            assert (await busy.fetchval("select 2"), busy.size <= 2) == (2, True)
            over.append(True)
            await gather(*lending)
            assert set(errors_seen) <= {errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow, pgpoll.ConnectionLost}
            assert await idle.fetchval("select count(*) from t where a = -1") == 0

    run_on(way, test)


def test_a_cursor_is_left_as_the_connection_is_lost(way):
    """Its rows and the end of the connection come at once: to leave it then is no error."""

    async def test(connection):
        sql = "select generate_series(1, 1000)"
        await connection.fetch(sql)

        async def first():
            async for row in connection.cursor(sql):
                return row[0]

        reading = start(first())
        while not connection._line.busy:
            await sleep(0)
        with pgpoll.sync.connect() as other:
            others = "select count(*) from pg_stat_activity where pid = $1"
            while not other.fetchval(f"{others} and query = $2 and state = 'active' and wait_event = 'ClientRead'", connection.backend_pid, sql):
                pass
            other.fetchval("select pg_terminate_backend($1)", connection.backend_pid)
            while other.fetchval(others, connection.backend_pid):
                pass
        assert await reading == 1
        with pytest.raises(pgpoll.PostgresError):
            await connection.fetchval("select 1")

    run_on(way, lambda: with_connection(way, test))
