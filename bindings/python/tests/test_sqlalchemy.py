"""SQLAlchemy's dialect, as programs use it. Its own compliance suite is in compliance/."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import pickle
import subprocess
import sys
import uuid
from decimal import Decimal

import pytest

sa = pytest.importorskip("sqlalchemy")

from sqlalchemy import orm  # noqa: E402
from sqlalchemy.dialects import postgresql as pg  # noqa: E402
from sqlalchemy.ext.asyncio import AsyncSession  # noqa: E402
from sqlalchemy_models import URL, Author, Base, Book, Mood, run  # noqa: E402

from pgpoll import errors  # noqa: E402

UTC = dt.timezone.utc


def test_pgpoll_needs_no_sqlalchemy():
    program = "import sys, pgpoll; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_objects():
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
            table = Author.__table__
            renaming = table.update().where(table.c.name == sa.bindparam("old")).values(name=sa.bindparam("new"))
            many = [{"old": f"a{number}", "new": f"b{number}"} for number in range(290, 310)]
            assert (await session.execute(renaming, many)).rowcount == 10
            assert (await session.execute(sa.delete(Book).where(Book.title == "x"))).rowcount == 300
            await session.rollback()
            assert await session.scalar(sa.select(sa.func.count()).select_from(Book)) == 600

    run(test)


def test_transactions():
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


def test_two_phases():
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


def test_errors_are_of_their_classes():
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
                assert caught.value.orig.pgcode == caught.value.driver_exception.sqlstate
                assert repr(pickle.loads(pickle.dumps(caught.value))) == repr(caught.value)
                await connection.rollback()
            with pytest.raises(sa.exc.DataError, match="out of the range of Python's"):
                await connection.execute(sa.text("select date '0044-03-15 BC'"))
            with pytest.raises(sa.exc.ProgrammingError, match="HINT:  Perhaps you meant"):
                await connection.execute(sa.text("select nam from sa_authors"))
            await connection.rollback()
            with pytest.raises(sa.exc.IntegrityError, match=r"DETAIL:  Key \(name\)=\(x\) already exists"):
                await connection.execute(sa.insert(Author), [{"name": "x"}, {"name": "x"}])

    run(test)


def test_notices_are_logged(caplog):
    async def test(engine):
        async with engine.begin() as connection:
            await connection.execute(sa.text("do $$ begin raise warning 'look'; end $$"))
        await asyncio.sleep(0)

    with caplog.at_level(logging.INFO, "sqlalchemy.dialects.postgresql"):
        run(test)
    assert "WARNING: look" in caplog.text


def test_reflection():
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
