"""The drivers that are compared, each behind the same few coroutines. Knows nothing of what is measured."""

from __future__ import annotations

import os
import socket
import struct
import time
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


class Unread(Pgpoll):
    """No driver: it receives what a driver would, and drops it unread. Between two looks it sleeps, for to be woken costs the server
    time. No driver can have its rows much sooner than it."""

    name = "unread"

    async def open(self) -> Any:
        if HOST.startswith("/"):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(f"{HOST}/.s.PGSQL.{PORT}")
        else:
            sock = socket.create_connection((HOST, PORT))
        await self._exchange(sock, b"\0\3\0\0user\0%b\0database\0%b\0\0" % (USER.encode(), DATABASE.encode()), b"")
        return sock

    async def close(self, connection: Any) -> None:
        connection.close()

    async def run(self, connection: Any, sql: str) -> None:
        await self._exchange(connection, sql.encode() + b"\0", b"Q")

    async def point(self, connection: Any, number: int) -> None:
        """Nothing is cached that this could warm."""

    async def rows(self, connection: Any, sql: str, count: int) -> int:
        bind = struct.pack("!xxHHHiiHH", 1, 1, 1, 4, count, 1, 1)
        received = await self._exchange(connection, b"\0%b\0\0\0" % sql.encode(), b"P", (bind, b"B"), (bytes(5), b"E"), (b"", b"S"))
        if received < count * 60:
            raise RuntimeError("these are not the rows, but an error")
        return count

    async def _exchange(self, sock: socket.socket, body: bytes, kind: bytes, *more: tuple[bytes, bytes]) -> int:
        sock.sendall(b"".join(tag + struct.pack("!i", len(text) + 4) + text for text, tag in [(body, kind), *more]))
        buffer, end, size = memoryview(bytearray(1 << 20)), b"", 0
        while end[:5] != b"Z\0\0\0\5":  # ReadyForQuery, which ends with one byte more
            if not (some := sock.recv_into(buffer)):
                raise ConnectionError(f"the server has closed the connection: it has to trust {USER}")
            end, size = (end + bytes(buffer[max(0, some - 6) : some]))[-6:], size + some
            if some >= 4096:  # rows: there are more
                time.sleep(0.0005)
        return size


DRIVERS = [Pgpoll(), Asyncpg(), Psycopg(), Psqlpy()]
UNREAD = Unread()
