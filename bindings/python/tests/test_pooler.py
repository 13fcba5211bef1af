"""Behind PgBouncer in transaction mode: without prepared statements, and with the cache where it can have them."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from datetime import datetime
from decimal import Decimal

import pytest
from ways import gather

import pgpoll
from pgpoll import errors

PATH = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


@pytest.fixture(scope="module")
def bouncer(tmp_path_factory):
    """A PgBouncer before the server of the tests: its options of connect."""
    if PATH is None:
        pytest.skip("pgbouncer is missing: apt-get install pgbouncer")
    folder = tmp_path_factory.mktemp("bouncer")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "users").write_text('"postgres" ""\n')
    (folder / "ini").write_text(f"""
[databases]
postgres = host={os.environ["PGHOST"]} port={os.environ["PGPORT"]} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 3
ignore_startup_parameters = extra_float_digits
""")
    for part in (folder, *folder.iterdir(), *list(folder.parents)[:2]):
        part.chmod(0o755)
    words = [PATH, str(folder / "ini")]
    if os.geteuid() == 0:
        words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *words]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert process.poll() is None, "pgbouncer did not start"
                time.sleep(0.1)
        yield {"host": "127.0.0.1", "port": port, "user": "postgres", "dbname": "postgres", "sslmode": "disable"}
    finally:
        process.kill()  # newer ones wait for their clients when they are asked
        process.wait()


def has_prepared_statements() -> bool:
    version = subprocess.run([PATH, "--version"], capture_output=True, text=True).stdout
    found = re.search(r"(\d+)\.(\d+)", version)
    return bool(found) and (int(found[1]), int(found[2])) >= (1, 24)


async def use(connection, number: int) -> None:
    for _ in range(5):
        assert await connection.fetchval("select $1::int4 + 1", number) == number + 1
        assert tuple(await connection.fetchrow("select $1::text, $2::numeric, $3::int4[]", "x", Decimal("1.5"), [1, None])) == (
            "x",
            Decimal("1.5"),
            [1, None],
        )
        async with connection.transaction():
            assert [len(batch) async for batch in connection.batches("select generate_series(1, $1::int4)", 5, size=2)] == [2, 2, 1]
    with pytest.raises(errors.DivisionByZero):
        await connection.fetchval("select 1 / $1::int4", 0)
    assert len(await connection.fetch("select generate_series(1, 20000)")) == 20000
    assert await connection.fetchrow("select 1 where false") is None


@pytest.fixture(params=[0, 100])
def size(request):
    """Of the cache of statements."""
    if request.param and not has_prepared_statements():
        pytest.skip("this pgbouncer has no prepared statements in transaction mode: it is older than 1.24")
    return request.param


def test_transaction_mode(bouncer, size, run_alone):
    async def test():
        connections = [await pgpoll.connect(statement_cache_size=size, **bouncer) for _ in range(6)]
        await gather(*(use(connection, number) for number, connection in enumerate(connections)))
        await connections[0].execute("create table if not exists behind (a int, b text); truncate behind")
        await connections[0].executemany("insert into behind values ($1, $2)", [(1, "x"), (2, None)])
        with pytest.raises(errors.InvalidTextRepresentation if size == 0 else pgpoll.ParameterError):
            await connections[1].executemany("insert into behind values ($1, $2)", [(3, "x"), ("y", "x")])
        assert await connections[2].fetchval("select count(*) from behind") == 2
        await connections[0].execute("drop table behind")
        with pytest.raises(pgpoll.ParameterError, match=r"parameter \$1"):
            await connections[0].fetch("select $1::text", object() if size == 0 else 5)
        for connection in connections:
            await connection.close()

    run_alone(test)


def test_ddl_between_two_executions(bouncer, size, run_alone):
    """What a statement returns changes (0A000), or it is gone in one of the pooler's servers (26000): outside of transactions, nobody notices."""

    async def test():
        connections = [await pgpoll.connect(statement_cache_size=size, pooled=True, **bouncer) for _ in range(4)]
        ddl = connections[0]
        await ddl.execute("drop table if exists changing; create table changing as select 1 as a")
        queries = [f"select * from changing where {number} > $1::int4" for number in range(1, 4)]

        for row in ({"a": 1}, {"a": 1, "b": "new"}, {"a": "1", "b": "new"}, {"b": "new"}):
            if len(row) == 2 and row["a"] == 1:
                await ddl.execute("alter table changing add b text default 'new'")
            elif "a" in row and row["a"] == "1":
                await ddl.execute("alter table changing alter a type text")
            elif "a" not in row:
                await ddl.execute("alter table changing drop a")
            for _ in range(3):
                got = await gather(*(connection.fetchrow(sql, 0) for sql in queries for connection in connections))
                assert [dict(each) for each in got] == [row] * len(got)
        async with await pgpoll.connect(statement_cache_size=size, pooled=True, **bouncer) as late:  # the pooler knows all former texts
            assert dict(await late.fetchrow(queries[0], 0)) == {"b": "new"}
        for _ in range(5):
            await ddl.execute("deallocate all")
            got = await gather(*(connection.fetchrow(queries[0], 0) for connection in connections))
            assert [dict(each) for each in got] == [{"b": "new"}] * 4
        await ddl.execute("drop table changing")
        for connection in connections:
            await connection.close()

    run_alone(test)


def test_columns_of_a_server_that_prepares_only_now(run_alone):
    """It refuses no statement whose columns have changed before that: what it gives is read by what it says of it."""
    sql = "select 1 as a, 2 as b where 1 = $1::int4"

    async def test():
        async with await pgpoll.connect(pooled=True) as connection:
            await connection.execute("create type pg_temp.mood as enum ('calm')")

            async def elsewhere(columns: str) -> None:
                """What the next execution meets: statements of the same names, and no command tag has told."""
                await connection.fetch(sql, 1)
                for (name,) in await connection.fetch("select name from pg_prepared_statements where statement ~ 'where 1 = [$]1'"):
                    text = f"prepare {name} (int) as select {columns} where 1 = $1"
                    await connection.execute(f"do $do$ begin execute 'deallocate {name}'; execute $${text}$$; end $do$")

            for columns, row in (
                ("'x' as a, 2 as b", {"a": "x", "b": 2}),
                ("1::int8 as a, 2 as b", {"a": 1, "b": 2}),
                ("1 as a, timestamp '1970-01-03' as b", {"a": 1, "b": datetime(1970, 1, 3)}),
                ("1 as c, 2 as b", {"c": 1, "b": 2}),
                ("1 as a", {"a": 1}),
                ("1 as a, 2 as b", {"a": 1, "b": 2}),
            ):
                await elsewhere(columns)
                assert [dict(each) for each in await connection.fetch(sql, 1)] == [row]
                await elsewhere(columns)
                assert dict(await connection.fetchrow(sql, 1)) == row
                await elsewhere(columns)
                assert [dict(each) async for each in connection.cursor(sql, 1)] == [row]
                await elsewhere(columns)
                assert [dict(each) async for batch in connection.batches(sql, 1) for each in batch] == [row]
            await elsewhere("'calm'::pg_temp.mood as a, 2 as b")
            with pytest.raises(pgpoll.InterfaceError, match=r'column "a" has another type .* execute it again'):
                await connection.fetch(sql, 1)
            assert dict(await connection.fetchrow(sql, 1)) == {"a": 1, "b": 2}

            prepared = await connection.prepare(sql)
            await elsewhere("'x' as a, 2 as b")
            assert [dict(each) for each in await gather(*(prepared.fetchrow(1) for _ in range(3)))] == [{"a": "x", "b": 2}] * 3
            assert dict(await prepared.fetchrow(1)) == {"a": 1, "b": 2}

    run_alone(test)
