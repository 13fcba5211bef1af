"""What cannot work: an exception of a documented class, no hang, no crash."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import warnings
from contextlib import contextmanager

import cffi
import pytest
from ways import PYPY, collect, gather, run_on, sleep, start

import pgpoll
from pgpoll import errors


def test_bad_connection_strings():
    async def test():
        for dsn in ("nonsense", "host=/nowhere", "port=abc", "postgresql://[::1", "host=127.0.0.1 port=1"):
            with pytest.raises(pgpoll.Error) as caught:
                await pgpoll.connect(dsn)
            assert str(caught.value)
        with pytest.raises(pgpoll.Error):
            await pgpoll.connect(no_such_option=5)
        with pytest.raises(errors.InvalidCatalogName):
            await pgpoll.connect(database="no such 'database\\")
        for bad in (None, b"", "dbname=a\0b", "dbname=\ud800"):
            with pytest.raises(pgpoll.InterfaceError, match="a connection string"):
                await pgpoll.connect(bad)
        for option in ("timeout", "command_timeout", "statement_cache_size"):
            with pytest.raises(pgpoll.InterfaceError, match=f"{option} is a number"):
                await pgpoll.connect(**{option: "5"})
        for dsn in ("application_name=", "application_name = "):  # libpq would take what follows for the value
            async with await pgpoll.connect(dsn, command_timeout=float("inf")) as connection:
                assert await connection.fetchval("show application_name") == ""
                assert await connection.execute("select 1", timeout=float("inf")) == "SELECT 1"

    asyncio.run(test())


def test_modules_that_are_not_there(monkeypatch):
    async def test():
        async with await pgpoll.connect() as connection:
            for module, work in (("pandas", connection.to_pandas), ("pyarrow", connection.to_arrow)):
                monkeypatch.setitem(sys.modules, module, None)
                with pytest.raises(pgpoll.InterfaceError, match=f"pip install {module}"):
                    await work("select 1")
            assert await connection.fetchval("select 1") == 1

    asyncio.run(test())


def test_options():
    async def test():
        async with await pgpoll.connect(application_name="it's \\ me", command_timeout=30) as connection:
            assert await connection.fetchval("show application_name") == "it's \\ me"
            assert connection.parameter("application_name") == "it's \\ me"
            assert (await connection.fetchval("select pg_backend_pid()"), connection.is_in_transaction()) == (connection.backend_pid, False)
            assert '"phase"' in (connection.inspect() or "")
        url = f"postgresql://{os.environ['PGUSER']}@/postgres"
        async with await pgpoll.connect(url, application_name="a b") as connection:
            assert await connection.fetchval("show application_name") == "a b"

    asyncio.run(test())


def test_use_after_close(run):
    async def test(connection):
        statement = await connection.prepare("select 1")
        pending = start(connection.fetch("select pg_sleep(1000)"))
        await sleep(0.02)
        connection.terminate()
        with pytest.raises(pgpoll.InterfaceError, match="closed"):
            await pending
        for work in (
            connection.fetch("select 1"), connection.execute("select 1"), statement.fetch(), connection.copy_in("copy t from stdin", b""),
            connection.transaction().start(), connection.prepare("select 2"), connection.listen("a").start(),
            connection.executemany("select $1::int", [(1,)]), connection.batches("select 1").__anext__(),
        ):  # fmt: skip
            with pytest.raises(pgpoll.InterfaceError, match="closed"):
                await work
        assert connection.is_closed() and not connection.check()
        await connection.close()
        connection.terminate()

    run(test)


def test_close_waits_for_what_is_under_way(run):
    async def test(connection):
        sql = "select pg_sleep($1) is null"
        assert await connection.fetchval(sql, 0.0) is False  # it is prepared
        working = start(connection.fetchval(sql, 0.05))
        await sleep(0.01)
        await connection.close()
        assert await working is False

    run(test)


def test_two_loops():
    connection = asyncio.run(pgpoll.connect())

    async def use():
        with pytest.raises(pgpoll.InterfaceError, match="another event loop"):
            await connection.fetchval("select 1")
        with pytest.raises(pgpoll.InterfaceError, match="another event loop"):
            await connection.execute("select 1")

    asyncio.run(use())
    thread = threading.Thread(target=lambda: asyncio.run(use()))
    thread.start()
    thread.join()
    connection.terminate()


def test_fork(run):
    async def test(connection):
        assert await connection.fetchval("select 1") == 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            code = 1
            try:
                connection._execute(0, "select 1", (), None)
            except pgpoll.InterfaceError as error:
                code = 0 if "fork" in str(error) else 2
            connection._line.ready()
            del connection
            os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert await connection.fetchval("select 2") == 2

    run(test)


def test_a_lost_server(run):
    async def test(connection):
        async with await pgpoll.connect() as other:
            working = [start(connection.fetch("select pg_sleep(1000)")) for _ in range(3)]
            await sleep(0.05)
            await other.fetchval("select pg_terminate_backend($1)", connection.backend_pid)
            for each in await gather(*working, return_exceptions=True):
                assert isinstance(each, pgpoll.PostgresError) and each.sqlstate in ("57P01", "08006", None), each
            assert connection.is_closed()
            with pytest.raises(pgpoll.PostgresError):
                await connection.fetch("select 1")

    run(test)


def test_statements_that_are_none(run):
    async def test(connection):
        for sql in (5, None, b"select 1"):
            with pytest.raises((pgpoll.InterfaceError, TypeError)):
                await connection.fetch(sql)
            with pytest.raises(pgpoll.InterfaceError):
                await connection.execute(sql)
        for work in (connection.fetch("select 1\0"), connection.execute("select 1\0")):
            with pytest.raises(pgpoll.InterfaceError, match="character 0"):
                await work
        with pytest.raises(pgpoll.PostgresError):
            await connection.fetchval("select $1::text", "a\0b")
        assert await connection.fetchval("select 1") == 1

    run(test)


def test_an_unclosed_connection_warns():
    async def test():
        connection = await pgpoll.connect()
        await sleep(0)  # what woke this task still knows the connection
        connection._reactor.stop()
        with pytest.warns(ResourceWarning, match="unclosed"):
            del connection
            collect()

    asyncio.run(test())


def lines() -> int:
    return sum(type(each).__name__ == "Line" for each in gc.get_objects())


def test_connections_are_not_leaked():
    async def test():
        collect()
        before = lines()
        async with await pgpoll.connect() as watching:
            for _ in range(5):
                connection = await pgpoll.connect(application_name="leak")
                await connection.fetch("select 1")
                await connection.close()
            del connection
            collect()
            for _ in range(1000):
                left = await watching.fetchval("select count(*) from pg_stat_activity where application_name = 'leak'")
                if not left:
                    break
                await sleep(0.01)
            assert left == 0
            await sleep(0)
            collect()
            assert lines() == before + 1

    run_on("asyncio", test)


@contextmanager
def tracing():
    """Gives a function that says how many bytes are allocated, and how many rounds it takes to know what does not grow."""
    if PYPY:  # it has no tracemalloc; the allocator's own count has what the collector and the compiler use, too
        ffi = cffi.FFI()
        ffi.cdef("struct info { size_t before[7], used, behind[2]; }; struct info mallinfo2(void);")
        library = ffi.dlopen(None)
        yield lambda: library.mallinfo2().used, 8
    else:
        import tracemalloc

        tracemalloc.start()
        yield lambda: tracemalloc.get_traced_memory()[0], 1
        tracemalloc.stop()


def test_memory_does_not_grow():
    """References are counted rightly: rows, errors, cancelled queries a hundred times over."""

    async def test():
        async with await pgpoll.connect() as connection:

            async def work():
                for number in range(40):
                    await connection.fetch("select $1::int4, 'x'::text, array[1,2], 1.5::numeric, now(), '{}'::jsonb", number)
                    for bad in ("select 1/0", "select $1::int4"):
                        with pytest.raises(pgpoll.Error):
                            await connection.fetch(bad)
                    await connection.executemany("select $1::int4", [(1,), (2,)])
                    task = start(connection.fetchval("select 1"))
                    await sleep(0)
                    task.cancel()
                    await gather(task, return_exceptions=True)

            await work()
            collect()
            grown = []
            with tracing() as (allocated, rounds):
                for _ in range(rounds):
                    before = allocated()
                    for _ in range(8):
                        await work()
                    collect()
                    grown.append(allocated() - before)
            assert min(grown) < 90_000, grown  # Python's own free lists fill up to half of it; an object that each query leaves is more

    run_on("asyncio", test)


def test_the_same_error_again_and_again(run):
    """Each is an exception of its own: one that is raised again grows with its traceback."""

    async def test(connection):
        async with await pgpoll.connect() as other:
            await other.execute(f"select pg_terminate_backend({connection.backend_pid})")
        raised = []
        while len(raised) < 5:
            try:
                await connection.execute("select 1")
            except errors.AdminShutdown as error:
                raised.append(error)
        assert len({id(error) for error in raised}) == 5 and {error.sqlstate for error in raised} == {"57P01"}

    run(test)


def test_the_servers_errors_of_class_08(run):
    async def test(connection):
        with pytest.raises(errors.ConnectionException) as caught:
            await connection.execute("do $$ begin raise sqlstate '08006'; end $$")
        assert not isinstance(caught.value, pgpoll.ConnectionLost)
        assert await connection.fetchval("select 1") == 1

    run(test)


def test_statements_and_channels_that_are_not_utf8(run):
    async def test(connection):
        for work in (connection.fetch, connection.execute, connection.prepare, lambda name: connection.listen(name).start()):
            for bad in ("select '\ud800'", "select '\0'"):
                with pytest.raises(pgpoll.InterfaceError):
                    await work(bad)
        with pytest.raises(pgpoll.InterfaceError, match="a channel is a str"):
            connection.listen(5)
        assert await connection.fetchval("select 1") == 1

    run(test)
