"""A connection and its cursors as SQLAlchemy expects them of a driver: calls that wait, transactions that begin by themselves.

How a call waits is all that tells the two dialects apart: by giving way to the event loop in SQLAlchemy's greenlet, or by blocking.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

from sqlalchemy.connectors.asyncio import AsyncAdapt_terminate
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.util.concurrency import await_

import pgpoll

from .. import errors
from .._bridge import RESULT
from . import failures

_CHANGES_SCHEMA = ("ALTER ", "CREATE ", "DROP ")
_COUNTED = re.compile(r"(?:SELECT|INSERT \d+|UPDATE|DELETE|MERGE|COPY|MOVE|FETCH) (\d+)$")


class Cursor:
    """What SQLAlchemy runs a statement with: all rows are here when `execute` returns."""

    server_side = False
    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: deque[Any] = deque()
        self.description: list[tuple[Any, ...]] | None = None
        self.rowcount = -1

    def execute(self, sql: str, args: Sequence[Any] | None = None) -> None:
        columns, rows, tag = self._connection.wait(self._connection.run(sql, tuple(args or ())))
        counted = _COUNTED.match(tag)
        self._describe(columns)
        self._rows, self.rowcount = deque(rows or ()), int(counted[1]) if counted else -1

    def executemany(self, sql: str, args: Sequence[Sequence[Any]]) -> None:
        self._describe(None)
        self.rowcount = self._connection.wait(self._connection.run_many(sql, args))

    def _describe(self, columns: Sequence[tuple[str, int, int]] | None) -> None:
        self.description = None if columns is None else [(name, oid, None, None, None, None, None) for name, oid, _ in columns]

    def fetchone(self) -> Any:
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return [self._rows.popleft() for _ in range(min(self.arraysize if size is None else size, len(self._rows)))]

    def fetchall(self) -> list[Any]:
        rows = list(self._rows)
        self._rows.clear()
        return rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchone, None)

    def setinputsizes(self, *sizes: Any) -> None:
        """Types are said by the statements, as casts."""

    def close(self) -> None:
        self._rows.clear()

    async def _async_soft_close(self) -> None:
        """SQLAlchemy asks for it before results are read without waiting: there is nothing to wait for."""


class Connection(AdaptedConnection):
    """A connection that blocks: over one of `pgpoll.sync`."""

    def __init__(self, dbapi: DBAPI, connection: Any) -> None:
        self._connection = connection
        self.dbapi = dbapi
        self.core: pgpoll.Connection = self._core()
        self.autocommit = self.readonly = self.deferrable = False
        self.streams: set[int] = set()
        self._mutex: Any = self._lock()
        self._isolation: str | None = None
        self._schema = dbapi.schema
        self._changes_schema = False

    def _core(self) -> pgpoll.Connection:
        return self.driver_connection._connection

    def _lock(self) -> Any:
        return nullcontext()

    def _finish(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.driver_connection._wait(work)

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What it gives, or its error as one of PEP 249."""
        try:
            return self._finish(work)
        except (errors.Error, ValueError) as error:
            raise failures.translated(error) from error

    def cursor(self, size: int = 0) -> Cursor:
        """A cursor; with a size it leaves the rows in the server, and fetches so many at a time."""
        from .stream import StreamCursor

        return StreamCursor(self, size) if size else Cursor(self)

    # Statements.

    async def run(self, sql: str, args: tuple[Any, ...]) -> tuple[Any, Any, str]:
        """A statement in its transaction: columns, rows, tag."""
        async with self._mutex:
            begun = await self.begin()
            try:
                answer = await self.core._run(RESULT, sql, args, None)
            except errors.FeatureNotSupported:
                if not begun:
                    raise
                # What was prepared has other columns by now. The transaction has done nothing yet: once more.
                await self.core.execute("ROLLBACK")
                await self.begin()
                answer = await self.core._run(RESULT, sql, args, None)
        columns, rows, tag = answer or (None, None, "")
        if tag.startswith(_CHANGES_SCHEMA):
            self.dbapi.schema += 1
            self._changes_schema = self.core.is_in_transaction()
        return columns, rows, tag

    async def run_many(self, sql: str, args: Sequence[Sequence[Any]]) -> int:
        async with self._mutex:
            await self.begin()
            return await self.core.executemany(sql, args)

    async def begin(self) -> bool:
        """Begins a transaction where there is none and has to be one: whether it did."""
        if self._schema != self.dbapi.schema:
            # What is prepared may have other columns by now. In a transaction the server's refusal would be its end.
            self._schema = self.dbapi.schema
            self.core._forget_statements()
        if self.autocommit or self.core.is_in_transaction():
            return False
        level = f" ISOLATION LEVEL {self._isolation}" if self._isolation else ""
        await self.core.execute(f"BEGIN{level}{' READ ONLY' * self.readonly}{' DEFERRABLE' * self.deferrable}")
        return True

    def ping(self) -> None:
        self.wait(self.core.execute(""))

    # Transactions.

    def set_isolation_level(self, level: str) -> None:
        self.rollback()
        self.autocommit = level == "AUTOCOMMIT"
        self._isolation = None if self.autocommit else level

    def commit(self) -> None:
        self._end("COMMIT")

    def rollback(self) -> None:
        self._end("ROLLBACK")

    def _end(self, command: str) -> None:
        if self.core.is_closed() or not self.core.is_in_transaction():
            return
        try:
            tag = self.wait(self.core.execute(command))
        finally:
            self.dbapi.schema += self._changes_schema
            self._changes_schema = False
        if tag == "ROLLBACK" != command:
            raise failures.InternalError("the transaction had failed: it was rolled back")

    def begin_twophase(self) -> None:
        self.wait(self.begin())

    def prepare_twophase(self, xid: str) -> None:
        self._end(f"PREPARE TRANSACTION {_literal(xid)}")

    def finish_twophase(self, command: str, xid: str) -> None:
        """`COMMIT` or `ROLLBACK` of what was prepared, by this connection or another one."""
        self.rollback()
        self.wait(self.core.execute(f"{command} PREPARED {_literal(xid)}"))

    # The end.

    def close(self) -> None:
        self.wait(self.core.close())


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class AsyncConnection(AsyncAdapt_terminate, Connection):
    """The same on an event loop."""

    def _core(self) -> pgpoll.Connection:
        return self.driver_connection

    def _lock(self) -> Any:
        return asyncio.Lock()

    def _finish(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await_(work)

    async def _terminate_graceful_close(self) -> None:
        await self.core.close(timeout=2)

    def _terminate_force_close(self) -> None:
        self.core.terminate()


class DBAPI:
    """What SQLAlchemy takes for the module of a driver."""

    paramstyle = "numeric_dollar"
    STRING, NUMBER, DATETIME, BINARY, ROWID = "STRING", "NUMBER", "DATETIME", "BINARY", "ROWID"

    Warning = failures.Warning
    Error = failures.Error
    InterfaceError = failures.InterfaceError
    DatabaseError = failures.DatabaseError
    DataError = failures.DataError
    IntegrityError = failures.IntegrityError
    InternalError = failures.InternalError
    NotSupportedError = failures.NotSupportedError
    OperationalError = failures.OperationalError
    ProgrammingError = failures.ProgrammingError

    def __init__(self) -> None:
        self.schema = 0
        """How often connections of this engine have changed the schema."""

    @staticmethod
    def Binary(value: Any) -> Any:
        return value

    def connect(self, *args: Any, **options: Any) -> Connection:
        try:
            return Connection(self, pgpoll.sync.connect(*args, **options))
        except errors.Error as error:
            raise failures.translated(error) from error


class AsyncDBAPI(DBAPI):
    def connect(self, *args: Any, async_creator_fn: Callable[..., Awaitable[Any]] = pgpoll.connect, **options: Any) -> Connection:
        try:
            return AsyncConnection(self, await_(async_creator_fn(*args, **options)))
        except errors.Error as error:
            raise failures.translated(error) from error
