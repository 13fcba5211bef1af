"""The server is restarted in the middle of everything: whatever is awaited ends with an exception of a documented class, and pools go on."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from ways import gather, run_on, sleep, start

import pgpoll
from pgpoll import errors


class Server:
    """A server of the tests' own."""

    def __init__(self, bin: Path, folder: Path) -> None:
        self._bin, self._data = bin, folder / "data"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.options = {"host": "127.0.0.1", "port": probe.getsockname()[1], "user": "postgres", "dbname": "postgres"}
        self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        if self._as:
            shutil.chown(folder, "postgres", "postgres")
        self._run(bin / "initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-D", self._data)
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(f"port = {self.options['port']}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n")
        self.control("start")

    def _words(self, *words: object) -> list[str]:
        return [*self._as, *map(str, words)]

    def _run(self, *words: object) -> None:
        subprocess.run(self._words(*words), check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)

    def _control(self, task: str, mode: str) -> tuple[object, ...]:
        return (self._bin / "pg_ctl", task, "-w", "-m", mode, "-D", self._data, "-l", self._data / "log")

    def control(self, task: str, mode: str = "fast") -> None:
        self._run(*self._control(task, mode))

    async def restart(self, mode: str) -> None:
        restarting = subprocess.Popen(self._words(*self._control("restart", mode)), stdout=subprocess.DEVNULL)
        while restarting.poll() is None:
            await sleep(0.01)
        assert restarting.returncode == 0


@pytest.fixture(scope="module")
def server():
    with pgpoll.sync.connect() as connection:
        bin = connection.fetchval("select setting from pg_config where name = 'BINDIR'")
    with tempfile.TemporaryDirectory() as folder:
        made = Server(Path(bin), Path(folder))
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
