"""The drivers that are compared, each behind the same few coroutines. Knows nothing of what is measured."""

from __future__ import annotations

import os
from typing import Any

import asyncpg
import psqlpy
import psycopg

import pgpoll

HOST, PORT = os.environ["PGHOST"], int(os.environ["PGPORT"])
USER, DATABASE = os.environ["PGUSER"], os.environ.get("PGDATABASE", "postgres")
DSN = f"host={HOST} port={PORT} user={USER} dbname={DATABASE}"

POINT = "select $1::int4"
COLUMNS = "i, i::int8*1000003 as big, md5(i::text) as text, i*0.5::float8 as real, timestamp '2026-01-01'+i*interval '1 second' as at"
ROWS = f"select {COLUMNS} from generate_series(1, $1::int4) i"
STORED = "select i, big, text, real, at from stored where i <= $1::int4"
FILL = f"create temp table stored as select {COLUMNS} from generate_series(1, 100000) i"


class Pgpoll:
    name = "pgpoll"
    shares_line = True

    async def open(self) -> Any:
        return await pgpoll.connect(DSN)

    async def close(self, connection: Any) -> None:
        await connection.close()

    async def backend(self, connection: Any) -> int:
        return await connection.fetchval("select pg_backend_pid()")

    async def run(self, connection: Any, sql: str) -> None:
        await connection.execute(sql)

    async def point(self, connection: Any, number: int) -> None:
        await connection.fetchrow(POINT, number)

    async def rows(self, connection: Any, sql: str, count: int) -> int:
        return len(await connection.fetch(sql, count))

    async def insert(self, connection: Any, rows: list[tuple[Any, ...]]) -> None:
        await connection.executemany("insert into bench values ($1, $2, $3)", rows)

    async def copy(self, connection: Any, rows: list[tuple[Any, ...]]) -> None:
        await connection.copy_records("bench", rows)


class Asyncpg(Pgpoll):
    name = "asyncpg"
    shares_line = False

    async def open(self) -> Any:
        return await asyncpg.connect(host=HOST, port=PORT, user=USER, database=DATABASE)

    async def copy(self, connection: Any, rows: list[tuple[Any, ...]]) -> None:
        await connection.copy_records_to_table("bench", records=rows)


class Psycopg(Pgpoll):
    name = "psycopg"
    shares_line = False

    async def open(self) -> Any:
        connection = await psycopg.AsyncConnection.connect(DSN, autocommit=True)
        connection.prepare_threshold = 0
        return connection

    async def run(self, connection: Any, sql: str) -> None:
        for statement in sql.split(";"):
            await connection.execute(statement)

    async def point(self, connection: Any, number: int) -> None:
        cursor = await connection.execute("select %s::int4", (number,), binary=True)
        await cursor.fetchone()

    async def rows(self, connection: Any, sql: str, count: int) -> int:
        cursor = await connection.execute(sql.replace("$1", "%s"), (count,), binary=True)
        return len(await cursor.fetchall())

    async def insert(self, connection: Any, rows: list[tuple[Any, ...]]) -> None:
        async with connection.transaction(), connection.cursor() as cursor:
            await cursor.executemany("insert into bench values (%s, %s, %s)", rows)

    async def copy(self, connection: Any, rows: list[tuple[Any, ...]]) -> None:
        async with connection.cursor() as cursor, cursor.copy("copy bench from stdin (format binary)") as copy:
            copy.set_types(["int4", "text", "float8"])
            for row in rows:
                await copy.write_row(row)


class Psqlpy(Pgpoll):
    name = "psqlpy"
    shares_line = False

    async def open(self) -> Any:
        return await psqlpy.connect(dsn=f"postgres://{USER}@{HOST}:{PORT}/{DATABASE}" if not HOST.startswith("/") else DSN)

    async def close(self, connection: Any) -> None:
        connection.close()

    async def run(self, connection: Any, sql: str) -> None:
        await connection.execute_batch(sql)

    async def point(self, connection: Any, number: int) -> None:
        (await connection.execute(POINT, [number])).result()

    async def rows(self, connection: Any, sql: str, count: int) -> int:
        return len((await connection.execute(sql, [count])).result())

    async def insert(self, connection: Any, rows: list[tuple[Any, ...]]) -> None:
        async with connection.transaction() as transaction:
            await transaction.execute_many("insert into bench values ($1, $2, $3)", [list(row) for row in rows])

    copy = None  # type: ignore[assignment]


DRIVERS = [Pgpoll(), Asyncpg(), Psycopg(), Psqlpy()]
