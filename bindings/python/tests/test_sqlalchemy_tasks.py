"""SQLAlchemy's pool and tasks: cancelled, too late, many at once; and what is under an engine."""

from __future__ import annotations

import asyncio
import random

import pytest
from ways import collect, run_on

sa = pytest.importorskip("sqlalchemy")

from sqlalchemy.ext.asyncio import create_async_engine  # noqa: E402
from sqlalchemy.pool import NullPool  # noqa: E402

import pgpoll  # noqa: E402

URL = "postgresql+pgpoll://"
WAYS = ["asyncio", "uvloop", "transport"]  # SQLAlchemy knows asyncio's loops alone
NAME = "sa_tasks"
SLEEP = sa.text("select pg_sleep(60)")


def run(test, way="asyncio", **options):
    async def with_engine():
        arguments = {"application_name": NAME, "transport": way == "transport", **options.pop("connect_args", {})}
        engine = create_async_engine(URL, connect_args=arguments, **options)
        try:
            await test(engine)
        finally:
            await engine.dispose()

    run_on(way, with_engine)


async def sessions(state="%"):
    """How many sessions of these tests the server has in a state."""
    async with await pgpoll.connect() as connection:
        count = "select count(*) from pg_stat_activity where application_name = $1 and state like $2"
        return await connection.fetchval(count, NAME, state)


async def eventually(count, state="%"):
    for _ in range(200):
        if await sessions(state) == count:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{await sessions(state)} sessions are {state!r}, not {count}")


@pytest.mark.parametrize("way", WAYS)
def test_a_task_that_is_cancelled(way):
    async def test(engine):
        async def work(started):
            async with engine.connect() as connection:
                await connection.execute(sa.text("create temp table t (a int)"))
                started.set()
                await connection.execute(SLEEP)

        for _ in range(3):
            events = [asyncio.Event() for _ in range(4)]
            tasks = [asyncio.create_task(work(event)) for event in events]
            for event in events[:2]:  # the others wait for a connection of the pool
                await event.wait()
            await eventually(2, "active")
            for task in tasks:
                task.cancel()
            assert all(isinstance(outcome, asyncio.CancelledError) for outcome in await asyncio.gather(*tasks, return_exceptions=True))
            assert engine.pool.checkedout() == 0
            await eventually(0, "active")
            async with engine.connect() as one, engine.connect() as other:
                assert await one.scalar(sa.text("select 1")) == await other.scalar(sa.text("select 1"))
        assert await sessions() <= 2

    run(test, way, pool_size=2, max_overflow=0)


@pytest.mark.parametrize("way", WAYS)
def test_cancelled_at_any_moment(way):
    seed = random.randrange(2**32)
    chance = random.Random(seed)

    async def test(engine):
        async def work():
            async with engine.begin() as connection:
                number = chance.randrange(1000)
                assert await connection.scalar(sa.text("select :n ::int"), {"n": number}) == number
                async with connection.begin_nested():
                    rows = await connection.stream(sa.text("select generate_series(1, 700)"))
                    assert len(await rows.all()) == 700

        # Who waits for SQLAlchemy's pool is not told that somebody else was cancelled while connecting: all are connected first.
        await asyncio.gather(*(work() for _ in range(3)))
        for _ in range(12):
            tasks = [asyncio.create_task(work()) for _ in range(5)]
            for task in tasks:
                await asyncio.sleep(chance.random() * 0.006)
                if chance.random() < 0.7:
                    task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert outcome is None or isinstance(outcome, asyncio.CancelledError), (seed, outcome)
        assert engine.pool.checkedout() == 0, seed
        await eventually(0, "idle in transaction%")
        await eventually(0, "active")
        assert await sessions() <= 3, seed
        await asyncio.gather(*(work() for _ in range(6)))

    run(test, way, pool_size=3, max_overflow=0)


def test_what_takes_too_long():
    async def test(engine):
        async with engine.connect() as connection:
            with pytest.raises(sa.exc.OperationalError) as caught:
                await connection.execute(SLEEP)
            assert isinstance(caught.value.driver_exception, pgpoll.QueryTimeout) and not caught.value.connection_invalidated
            await connection.rollback()
            assert await connection.scalar(sa.text("select 1")) == 1
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(connection.execute(SLEEP), 0.05)
        async with engine.connect() as connection:
            assert await connection.scalar(sa.text("select 2")) == 2
        assert await sessions("active") == 0

    run(test, connect_args={"command_timeout": 0.3})


@pytest.mark.parametrize("way", WAYS)
def test_many_at_once(way):
    async def test(engine):
        async def one(number):
            async with engine.connect() as connection:
                for _ in range(5):
                    assert await connection.scalar(sa.text("select :n ::int + 1"), {"n": number}) == number + 1
            return number

        assert await asyncio.gather(*(one(number) for number in range(40))) == list(range(40))
        async with engine.connect() as connection:  # tasks that share a connection have one transaction
            same = sa.text("select :n ::int, pg_current_xact_id_if_assigned() is null, transaction_timestamp()")
            rows = [(await connection.execute(same, {"n": 0})).one()]
            rows += [answer.one() for answer in await asyncio.gather(*(connection.execute(same, {"n": number}) for number in range(1, 30)))]
            assert [row[0] for row in rows] == list(range(30)) and len({row[2] for row in rows}) == 1

    run(test, way, pool_size=5)


def test_connections_that_are_forgotten():
    engine = create_async_engine(URL, connect_args={"application_name": NAME})

    async def forget():
        connection = await engine.connect()
        await connection.execute(sa.text("select 1"))

    async def look():
        collect()
        await eventually(0)
        assert engine.pool.checkedout() == 0

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(forget())
        with pytest.warns(sa.exc.SAWarning, match="garbage collector"):
            collect()
        loop.run_until_complete(look())
        loop.run_until_complete(engine.dispose())
    finally:
        loop.close()


def test_an_engine_in_two_loops():
    engine = create_async_engine(URL)

    async def use():
        async with engine.connect() as connection:
            return await connection.scalar(sa.text("select 1"))

    async def use_anew():
        with pytest.raises(sa.exc.InterfaceError, match="belongs to another event loop"):
            await use()
        await engine.dispose()
        assert await use() == 1
        await engine.dispose()

    assert asyncio.run(use()) == 1
    asyncio.run(use_anew())


def test_a_server_that_is_not_there():
    async def test():
        engine = create_async_engine(f"{URL}postgres@127.0.0.1:1/postgres", poolclass=NullPool)
        with pytest.raises(sa.exc.OperationalError, match=r"127\.0\.0\.1") as caught:
            async with engine.connect():
                pass
        assert isinstance(caught.value.driver_exception, pgpoll.ConnectionLost)
        unknown = create_async_engine(URL, connect_args={"no_such_option": 1})
        with pytest.raises(sa.exc.InterfaceError, match="no_such_option"):
            async with unknown.connect():
                pass

    asyncio.run(test())


def test_urls():
    def options(url):
        return sa.create_engine(url).dialect.create_connect_args(sa.make_url(url))[1]

    assert options(URL) == {}
    assert options(f"{URL}me:p%40ss@host:5433/db?sslmode=require&statement_cache_size=0&command_timeout=1.5") == {
        "user": "me", "password": "p@ss", "host": "host", "port": 5433, "dbname": "db", "sslmode": "require", "statement_cache_size": 0,
        "command_timeout": 1.5,
    }  # fmt: skip
    assert options(f"{URL}me@/db?host=one:5001&host=two:5002") == {"user": "me", "dbname": "db", "host": "one,two", "port": "5001,5002"}
    assert options(f"{URL}me@/db?host=/run/postgresql") == {"user": "me", "dbname": "db", "host": "/run/postgresql"}
    assert options(f"{URL}/db?host=one,two&port=5001,5002") == {"dbname": "db", "host": "one,two", "port": "5001,5002"}


def test_what_is_under_an_engine():
    connected = []

    async def creator():
        connected.append(await pgpoll.connect(application_name=NAME))
        return connected[-1]

    async def test():
        engine = create_async_engine(URL, async_creator=creator)
        learned = []

        @sa.event.listens_for(engine.sync_engine, "connect")
        def learn(dbapi_connection, record):
            learned.append(dbapi_connection.run_async(lambda connection: connection.fetchval("select 5")))

        async with engine.connect() as connection:
            await connection.execute(sa.text("create temp table t (a int, b text)"))
            raw = await connection.get_raw_connection()
            assert raw.driver_connection is connected[0] and learned == [5]
            assert await raw.driver_connection.copy_records("t", [(1, "x"), (2, "y")]) == "COPY 2"
            assert (await connection.execute(sa.text("select * from t"))).all() == [(1, "x"), (2, "y")]
        await engine.dispose()
        assert connected[0].is_closed()

    asyncio.run(test())
