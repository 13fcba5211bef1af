"""SQLAlchemy's dialect, as programs use it. Its own compliance suite is in compliance/."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import logging
import subprocess
import sys
import uuid
from decimal import Decimal

import pytest

sa = pytest.importorskip("sqlalchemy")

from sqlalchemy import orm  # noqa: E402
from sqlalchemy.dialects import postgresql as pg  # noqa: E402
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine  # noqa: E402

from pgpoll import errors  # noqa: E402

URL = "postgresql+pgpoll://"
UTC = dt.timezone.utc
CURSORS = sa.text("select name from pg_cursors where name <> ''")


class Mood(enum.Enum):
    sad = 1
    ok = 2


class Base(orm.DeclarativeBase): ...


class Author(Base):
    __tablename__ = "sa_authors"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(unique=True)
    mood: orm.Mapped[Mood | None]
    books: orm.Mapped[list[Book]] = orm.relationship(back_populates="author", cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = "sa_books"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str]
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("sa_authors.id"))
    author: orm.Mapped[Author] = orm.relationship(back_populates="books")


@pytest.fixture
def run():
    """`run(test, **options)`: the test gets an engine of its own, with the tables of Base there and empty."""

    def run_test(test, **options):
        async def with_engine():
            engine = create_async_engine(URL, **options)
            try:
                async with engine.begin() as connection:
                    await connection.run_sync(Base.metadata.drop_all)
                    await connection.run_sync(Base.metadata.create_all)
                await asyncio.wait_for(test(engine), 60)
                async with engine.begin() as connection:
                    await connection.run_sync(Base.metadata.drop_all)
            finally:
                await engine.dispose()

        asyncio.run(with_engine())

    return run_test


def test_pgpoll_needs_no_sqlalchemy():
    program = "import sys, pgpoll; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_objects(run):
    async def test(engine):
        async with AsyncSession(engine) as session, session.begin():
            session.add_all(
                [Author(name=f"a{number}", mood=Mood.ok, books=[Book(title="x"), Book(title="y")]) for number in range(300)]
                + [Author(name="nobody")]
            )
        async with AsyncSession(engine, expire_on_commit=False) as session:
            found = await session.scalars(
                sa.select(Author).where(Author.name.in_(["a1", "a2", "nobody"])).options(orm.selectinload(Author.books)).order_by(Author.id)
            )
            authors = found.all()
            assert [(each.name, each.mood, [book.title for book in each.books]) for each in authors] == [
                ("a1", Mood.ok, ["x", "y"]),
                ("a2", Mood.ok, ["x", "y"]),
                ("nobody", None, []),
            ]
            authors[0].mood = Mood.sad
            authors[1].name = "renamed"
            await session.delete(authors[2])
            await session.commit()
            assert await session.scalar(sa.select(sa.func.count()).where(Author.mood == Mood.sad)) == 1
            assert (await session.execute(sa.update(Author).values(mood=None))).rowcount == 300
            assert (await session.execute(sa.delete(Book).where(Book.title == "x"))).rowcount == 300
            await session.rollback()
            assert await session.scalar(sa.select(sa.func.count()).select_from(Book)) == 600

    run(test)


def test_rows_of_a_stream_stay_in_the_server(run):
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


def test_what_cannot_be_a_cursor_streams_too(run):
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


def test_transactions(run):
    async def test(engine):
        level = sa.text("show transaction_isolation")
        for name in ("SERIALIZABLE", "REPEATABLE READ", "READ UNCOMMITTED", "READ COMMITTED"):
            async with engine.connect() as connection:
                await connection.execution_options(isolation_level=name)
                assert (await connection.scalar(level)).upper() == name
        async with engine.connect() as connection:
            assert await connection.scalar(level) == "read committed"
            await connection.rollback()
            await connection.execution_options(postgresql_readonly=True, postgresql_deferrable=True, isolation_level="SERIALIZABLE")
            assert await connection.scalar(sa.text("show transaction_deferrable")) == "on"
            with pytest.raises(sa.exc.InternalError, match="read-only"):
                await connection.execute(sa.insert(Author).values(name="x"))
        async with engine.connect() as connection:
            await connection.execute(sa.insert(Author).values(name="kept"))
            with pytest.raises(sa.exc.IntegrityError):
                async with connection.begin_nested():
                    await connection.execute(sa.insert(Author).values(name="kept"))
            async with connection.begin_nested():
                await connection.execute(sa.insert(Author).values(name="inner"))
            await connection.commit()
            assert await connection.scalar(sa.select(sa.func.count()).select_from(Author)) == 2
            with pytest.raises(sa.exc.DataError):
                await connection.execute(sa.text("select 1 / 0"))
            with pytest.raises(sa.exc.InternalError, match="rolled back"):
                await connection.commit()
            await connection.rollback()
            assert await connection.scalar(sa.select(sa.func.count()).select_from(Author)) == 2
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(sa.text("vacuum sa_authors"))
            await connection.execute(sa.insert(Author).values(name="at once"))
            await connection.rollback()
            assert await connection.scalar(sa.select(sa.func.count()).select_from(Author)) == 3

    run(test)


def test_two_phases(run):
    def both(connection):
        if connection.scalar(sa.text("show max_prepared_transactions")) == "0":
            pytest.skip("the server has no prepared transactions: max_prepared_transactions is 0")
        connection.rollback()
        for xid, end in (("it's one", "commit"), ("two", "rollback")):
            transaction = connection.begin_twophase(xid)
            connection.execute(sa.insert(Author).values(name=xid))
            transaction.prepare()
            with connection.engine.connect() as other:
                assert xid in other.recover_twophase()
            getattr(transaction, end)()
        connection.begin_twophase("three").prepare()
        connection.invalidate()

    def later(connection):
        assert "three" in connection.recover_twophase()
        connection.commit_prepared("three", recover=True)
        assert connection.scalars(sa.select(Author.name)).all() == ["it's one"]

    async def test(engine):
        async with engine.connect() as connection:
            await connection.run_sync(both)
        async with engine.connect() as connection:
            await connection.run_sync(later)

    run(test)


def test_errors_are_of_their_classes(run):
    cases = {
        "insert into sa_books values (1, 'x', 5)": (sa.exc.IntegrityError, errors.ForeignKeyViolation),
        "insert into sa_authors (name) values (null)": (sa.exc.IntegrityError, errors.NotNullViolation),
        "selec 1": (sa.exc.ProgrammingError, errors.PostgresSyntaxError),
        "select * from no_such_table": (sa.exc.ProgrammingError, errors.UndefinedTable),
        "select 1 / 0": (sa.exc.DataError, errors.DivisionByZero),
        "select 'x'::int": (sa.exc.DataError, errors.InvalidTextRepresentation),
        "set local statement_timeout = 1; ": (sa.exc.OperationalError, errors.QueryCanceled),
        "do $$ begin raise exception 'mine'; end $$": (sa.exc.ProgrammingError, errors.RaiseError),
        "do $$ begin raise sqlstate '40001'; end $$": (sa.exc.OperationalError, errors.SerializationFailure),
        "create table sa_books ()": (sa.exc.ProgrammingError, errors.DuplicateTable),
        "select 1; select 2": (sa.exc.ProgrammingError, errors.PostgresSyntaxError),
    }

    async def test(engine):
        async with engine.connect() as connection:
            for sql, (kind, cause) in cases.items():
                with pytest.raises(kind) as caught:
                    await connection.execute(sa.text(sql))
                    await connection.execute(sa.text("select pg_sleep(60)"))
                assert type(caught.value) is kind
                assert isinstance(caught.value.driver_exception, cause), caught.value.driver_exception
                assert caught.value.orig.sqlstate == caught.value.driver_exception.sqlstate
                await connection.rollback()
            with pytest.raises(sa.exc.IntegrityError, match=r"DETAIL:  Key \(name\)=\(x\) already exists"):
                await connection.execute(sa.insert(Author), [{"name": "x"}, {"name": "x"}])

    run(test)


def test_notices_are_logged(run, caplog):
    async def test(engine):
        async with engine.begin() as connection:
            await connection.execute(sa.text("do $$ begin raise warning 'look'; end $$"))
        await asyncio.sleep(0)

    with caplog.at_level(logging.INFO, "sqlalchemy.dialects.postgresql"):
        run(test)
    assert "WARNING: look" in caplog.text


def test_reflection(run):
    async def test(engine):
        async with engine.connect() as connection:
            table = await connection.run_sync(lambda sync: sa.Table("sa_authors", sa.MetaData(), autoload_with=sync))
            assert [(column.name, str(column.type), column.nullable) for column in table.columns] == [
                ("id", "INTEGER", False),
                ("name", "VARCHAR", False),
                ("mood", "mood", True) if str(table.c.mood.type) == "mood" else ("mood", "VARCHAR(3)", True),
            ]
            assert table.c.mood.type.enums == ["sad", "ok"]
            keys = await connection.run_sync(lambda sync: sa.inspect(sync).get_foreign_keys("sa_books"))
            assert (keys[0]["referred_table"], keys[0]["constrained_columns"]) == ("sa_authors", ["author_id"])

    run(test)


def test_without_an_event_loop():
    engine = sa.create_engine(URL)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all([Author(name=f"a{number}", mood=Mood.sad) for number in range(1500)])
        session.commit()
        assert len(session.scalars(sa.select(Author).execution_options(yield_per=100)).all()) == 1500
        with pytest.raises(sa.exc.IntegrityError):
            session.execute(sa.insert(Author).values(name="a1"))
        session.rollback()
        values = {"u": uuid.UUID(int=5), "n": Decimal("1.50"), "t": dt.datetime(2026, 1, 1, tzinfo=UTC)}
        row = session.execute(
            sa.select(sa.literal(values["u"]), sa.literal(values["n"]), sa.cast(values["t"], pg.TIMESTAMP(timezone=True)))
        ).one()
        assert tuple(row) == tuple(values.values())
    Base.metadata.drop_all(engine)
    engine.dispose()
