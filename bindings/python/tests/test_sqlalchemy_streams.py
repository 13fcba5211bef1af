"""Results of SQLAlchemy that are left in the server until they are read."""

from __future__ import annotations

import pytest

sa = pytest.importorskip("sqlalchemy")

from sqlalchemy.ext.asyncio import AsyncSession  # noqa: E402
from sqlalchemy_models import Author, Mood, run  # noqa: E402

CURSORS = sa.text("select name from pg_cursors where name <> ''")


def test_rows_of_a_stream_stay_in_the_server():
    async def test(engine):
        numbers = sa.text("select n, repeat('x', 1000) from generate_series(1, :count) n")
        async with engine.connect() as connection:
            seen = 0
            streamed = await connection.stream(numbers, {"count": 20_000})
            async for number, _ in streamed:
                seen += 1
                if number % 6_000 == 0:  # other statements meanwhile, another stream among them
                    assert await connection.scalar(sa.text("select 5")) == 5
                    small = await connection.stream(sa.text("values (1), (2)"))
                    assert await small.all() == [(1,), (2,)]
            assert seen == 20_000
            left = await connection.stream(sa.text("select generate_series(1, 1000000000)"))
            assert (await left.fetchmany(3))[2][0] == 3
            await left.close()
            assert (await connection.scalars(CURSORS)).all() == []
            for size in (1, 7):
                sized = await connection.stream(sa.text("select generate_series(1, 20)"), execution_options={"yield_per": size})
                assert [len(part) async for part in sized.partitions(size)] == ([1] * 20 if size == 1 else [7, 7, 6])
            with pytest.raises(sa.exc.DataError):
                failing = await connection.stream(sa.text("select 1 / (700 - n) from generate_series(1, 1000) n"))
                await failing.all()
            await connection.rollback()
            assert await connection.scalar(sa.text("select 6")) == 6
        async with AsyncSession(engine) as session, session.begin():
            session.add_all([Author(name=f"a{number}") for number in range(1200)])
            await session.flush()
            async for author in await session.stream_scalars(sa.select(Author).execution_options(yield_per=100)):
                author.mood = Mood.ok
                if author.name.endswith("9"):
                    await session.flush()
            assert await session.scalar(sa.select(sa.func.count()).where(Author.mood == Mood.ok)) == 1200

    run(test)


def test_what_cannot_be_a_cursor_streams_too():
    async def test(engine):
        async with engine.connect() as connection:
            added = await connection.stream(sa.insert(Author).returning(Author.id), [{"name": "a"}, {"name": "b"}])
            assert len(await added.all()) == 2
            for sql in (
                "with x as (update sa_authors set mood = 'ok' returning id) select * from x",
                "show work_mem",
                "/* x */ explain select 1",
            ):
                assert len(await (await connection.stream(sa.text(sql))).all()) >= 1
            streamed = await connection.stream(sa.text(" -- a comment\n (select 1) union all select 2"))
            assert len((await connection.scalars(CURSORS)).all()) == 1
            async with connection.begin_nested() as savepoint:
                inner = await connection.stream(sa.text("select generate_series(1, 1000)"))
                await savepoint.rollback()
            await inner.close()  # which the savepoint has closed already
            assert len(await streamed.all()) == 2
            late = await connection.stream(sa.text("select generate_series(1, 1000)"))
            await connection.commit()
            await late.close()
            assert await connection.scalar(sa.text("select count(*) from sa_authors")) == 2
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            held = await connection.stream(sa.text("select generate_series(1, 1200)"))
            assert len(await held.all()) == 1200

    run(test)
