"""What happens to a program's engine: schemas that change, poolers, servers that restart."""

from __future__ import annotations

import asyncio

import pytest

sa = pytest.importorskip("sqlalchemy")

from sqlalchemy.ext.asyncio import create_async_engine  # noqa: E402
from test_pooler import bouncer, has_prepared_statements  # noqa: E402, F401
from test_restart import server  # noqa: E402, F401

import pgpoll  # noqa: E402

URL = "postgresql+pgpoll://"


def run(test, url=URL, **options):
    async def with_engine():
        engine = create_async_engine(url, **options)
        try:
            await asyncio.wait_for(test(engine), 60)
        finally:
            await engine.dispose()

    asyncio.run(with_engine())


async def scalar(engine, sql, **values):
    async with engine.connect() as connection:
        return await connection.scalar(sa.text(sql), values)


def test_a_schema_that_changes_between():
    async def test(engine):
        rows = sa.text("select * from sa_changing")
        async with engine.connect() as one, engine.connect() as other:
            await one.execute(sa.text("drop table if exists sa_changing"))
            await one.execute(sa.text("create table sa_changing as select 1 as a"))
            await one.commit()
            for connection in (one, other):
                for _ in range(2):
                    assert (await connection.execute(rows)).all() == [(1,)]
                await connection.rollback()
            # In the middle of a transaction, undone, made again; and on a connection that has it prepared already.
            for ending in (one.rollback, one.commit):
                assert (await one.execute(rows)).all() == [(1,)]
                await one.execute(sa.text("alter table sa_changing add b text default 'b'"))
                assert (await one.execute(rows)).keys() == ["a", "b"]
                await ending()
            for connection in (one, other):
                assert (await connection.execute(rows)).all() == [(1, "b")]
                await connection.rollback()
            # By another program.
            async with await pgpoll.connect() as program:
                await program.execute("alter table sa_changing alter a type text")
            for connection in (one, other):
                assert (await connection.execute(rows)).all() == [("1", "b")]
                await connection.rollback()
            async with await pgpoll.connect() as program:
                await program.execute("alter table sa_changing drop b")
            assert await one.scalar(sa.text("select 1")) == 1
            with pytest.raises(sa.exc.NotSupportedError, match="cached plan"):
                await one.execute(rows)  # too late: the transaction has done something
            await one.rollback()
            assert (await one.execute(rows)).all() == [("1",)]
            await one.execute(sa.text("drop table sa_changing"))
            await one.commit()

    run(test)


def test_types_that_are_made_anew():
    async def test(engine):
        async with engine.connect() as connection:
            for words in (["a", "b"], ["b", "c"]):
                table = sa.Table("sa_typed", sa.MetaData(), sa.Column("v", sa.Enum(*words, name="sa_word")))
                await connection.run_sync(table.metadata.drop_all)
                await connection.run_sync(table.metadata.create_all)
                await connection.execute(sa.insert(table), [{"v": word} for word in words])
                for word in words:
                    assert (await connection.scalars(sa.select(table.c.v).where(table.c.v == word))).all() == [word]
                await connection.commit()
            await connection.run_sync(table.metadata.drop_all)
            await connection.commit()

    run(test)


@pytest.mark.parametrize("size", [0, 100])
def test_behind_a_pooler(bouncer, size):  # noqa: F811
    if size and not has_prepared_statements():
        pytest.skip("this pgbouncer has no prepared statements in transaction mode: it is older than 1.24")

    async def test(engine):
        async def use(number):
            for _ in range(5):
                async with engine.connect() as connection:
                    assert await connection.scalar(sa.select(sa.literal(number) + 1)) == number + 1
                    streamed = await connection.stream(sa.text("select n from generate_series(1, :n) n"), {"n": 1100})
                    assert len(await streamed.all()) == 1100
                    await connection.execute(sa.text("create temp table t (a int, b text) on commit drop"))
                    table = sa.table("t", sa.column("a", sa.Integer), sa.column("b", sa.Text))
                    await connection.execute(sa.insert(table), [{"a": at, "b": None} for at in range(20)])
                    assert (await connection.execute(sa.update(table).where(table.c.a < 5).values(b="x"))).rowcount == 5
                    with pytest.raises(sa.exc.DBAPIError):
                        async with connection.begin_nested():
                            await connection.execute(sa.text("select 1 / 0"))
                    assert await connection.scalar(sa.text("select count(*) from t")) == 20
                    await connection.rollback()
                    await connection.execution_options(isolation_level="AUTOCOMMIT")
                    assert (await connection.execute(sa.text("select 1 as one where false"))).keys() == ["one"]

        await asyncio.gather(*(use(number) for number in range(6)))

    host, port = bouncer["host"], bouncer["port"]
    url = f"{URL}postgres@{host}:{port}/postgres?sslmode=disable&statement_cache_size={size}"
    run(test, url, pool_size=6, pool_pre_ping=True)


async def end_all():
    async with await pgpoll.connect() as program:
        await program.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sa_lost'")
    await asyncio.sleep(0.1)


@pytest.mark.parametrize("ping", [True, False])
def test_the_pool_looks_before_it_lends(ping):
    async def test(engine):
        assert await scalar(engine, "select 1") == 1
        await end_all()
        if not ping:
            with pytest.raises(sa.exc.OperationalError, match="terminating connection"):
                await scalar(engine, "select 1")
        assert await scalar(engine, "select 1") == 1

    run(test, pool_pre_ping=ping, connect_args={"application_name": "sa_lost"})


def test_connections_that_were_lost():
    async def test(engine):
        async with engine.connect() as connection:
            first = await connection.scalar(sa.text("select pg_backend_pid()"))
            await connection.rollback()
            await end_all()
            with pytest.raises(sa.exc.OperationalError) as caught:
                await connection.scalar(sa.text("select 1"))
            assert caught.value.connection_invalidated
            await connection.rollback()
            assert await connection.scalar(sa.text("select pg_backend_pid()")) != first
            under_way = asyncio.create_task(connection.scalar(sa.text("select pg_sleep(60)")))
            await asyncio.sleep(0.1)
            await end_all()
            with pytest.raises(sa.exc.OperationalError) as caught:
                await under_way
            assert caught.value.connection_invalidated
        assert await scalar(engine, "select 1") == 1

    run(test, connect_args={"application_name": "sa_lost"})


@pytest.mark.parametrize("ping", [True, False])
def test_a_server_that_restarts(server, ping):  # noqa: F811
    async def test(engine):
        async def use():
            async with engine.connect() as connection:
                for _ in range(2):
                    assert await connection.scalar(sa.text("select 1")) == 1

        for mode in ("fast", "immediate"):
            await asyncio.gather(*(use() for _ in range(3)))
            assert engine.pool.checkedin() == 3
            server.control("stop", mode)
            with pytest.raises(sa.exc.OperationalError):
                await use()
            server.control("start")
            await use()
            await asyncio.gather(*(use() for _ in range(3)))

    run(test, connect_args=server.options, pool_size=3, pool_pre_ping=ping)
