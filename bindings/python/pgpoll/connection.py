"""A connection: what programs call."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import Any

from . import errors
from ._bridge import BATCHES, COUNT, NOTHING, ROW, ROWS, TAG, VALUE, ffi, lib, native, text
from ._copy import CopyIn, CopyOut
from ._introspect import Introspection
from ._listen import Listener
from ._pipeline import Pipeline
from ._portal import Batches, Rows
from ._prepared import PreparedStatement
from ._statements import STALE
from .transaction import Transaction
from .types import Record


class Connection(Introspection):
    """A session of the server. Made by `connect`.

    Several tasks may await queries at the same time: they share round trips, in the order in which they were started. A task that is
    cancelled, or whose timeout is over, has its query stopped in the server; one that shares the line has its replies dropped instead.
    """

    # Queries.

    async def fetch(self, sql: str, *args: Any, timeout: float | None = None) -> list[Record]:
        """All rows of a statement, as `Record`s. `timeout`: seconds."""
        try:
            return await self._execute(ROWS, sql, args, timeout)
        except STALE as error:
            return await self._again(error, ROWS, sql, args, timeout)

    async def fetchrow(self, sql: str, *args: Any, timeout: float | None = None) -> Record | None:
        """The first row, or None."""
        try:
            return await self._execute(ROW, sql, args, timeout)
        except STALE as error:
            return await self._again(error, ROW, sql, args, timeout)

    async def fetchval(self, sql: str, *args: Any, column: int = 0, timeout: float | None = None) -> Any:
        """A value of the first row, or None."""
        if column != 0:
            row = await self.fetchrow(sql, *args, timeout=timeout)
            return None if row is None else row[column]
        try:
            return await self._execute(VALUE, sql, args, timeout)
        except STALE as error:
            return await self._again(error, VALUE, sql, args, timeout)

    async def execute(self, sql: str, *args: Any, timeout: float | None = None) -> str:
        """Runs a statement, or several where there are no arguments: the command tag of the last one, such as `INSERT 0 1`."""
        if args:
            try:
                return await self._execute(TAG, sql, args, timeout)
            except STALE as error:
                return await self._again(error, TAG, sql, args, timeout)
        while True:
            await self._turn()
            if (waiter := self._simple(sql, TAG, timeout)) is not None:
                return await waiter or ""
            await self._room()

    async def executemany(self, sql: str, args: Iterable[Sequence[Any]], *, timeout: float | None = None) -> int:
        """Runs a statement once for each sequence of arguments, without waiting in between. All of it takes effect, or nothing.

        How many rows it has inserted, changed or deleted.

        `timeout`: seconds that each part of some thousand may take.
        """
        if self._cache_size > 0:
            return await self._many(await self._statement(sql, timeout), args, timeout)
        async with self.transaction():
            under_way = [await self._unprepared(COUNT, sql, tuple(native.fields(row)), 0, timeout) for row in args]
            return sum([await waiter for waiter in under_way])

    async def _many(self, statement: Any, args: Iterable[Sequence[Any]], timeout: float | None) -> int:
        try:
            return await self._execute_many(statement, args, timeout)
        except STALE as error:
            if iter(args) is args:  # its rows are gone
                raise
            for each in (statement, self._line.statements.pop(statement.sql, statement)):
                self._close_statement(each)
            self._renew(error, statement.sql)
        return await self._execute_many(statement, args, timeout)

    async def _execute_many(self, statement: Any, args: Iterable[Sequence[Any]], timeout: float | None) -> int:
        rows = iter(args)
        while True:
            await self._turn()
            if statement.dead:
                statement = await self._statement(statement.sql, timeout)
            waiter, ended, left = self._line.start_many(statement, rows, timeout, True)
            if waiter is not None:
                return await waiter
            if not ended:  # too much for one group
                break
            if not left:
                return 0
            rows = iter(left)
            await self._room()
        async with self.transaction():
            return await self._execute_parts(statement, left, rows, timeout)

    async def _execute_parts(self, statement: Any, left: list[Any], rows: Any, timeout: float | None) -> int:
        count = 0
        under_way: list[Any] = []
        ended, rest = False, iter(rows)
        while left or not ended:
            if statement.dead:  # others have prepared more than the cache holds
                statement = await self._statement(statement.sql, timeout)
            if left:
                waiter, _, left = self._line.start_many(statement, iter(left), timeout, False)
            else:
                waiter, ended, left = self._line.start_many(statement, rest, timeout, False)
            if waiter is not None:
                under_way.append(waiter)
                await self._sent()  # the server is at work on this part while the next one is made
            elif left:
                await self._room()
            if len(under_way) > 8:
                count += await under_way.pop(0)
        return count + sum([await waiter for waiter in under_way])

    def cursor(self, sql: str, *args: Any, prefetch: int = 50, timeout: float | None = None) -> Rows:
        """The rows of a statement, `prefetch` a round trip: nothing more is received while these are not used up."""
        return Rows(self.batches(sql, *args, size=prefetch, timeout=timeout))

    def batches(self, sql: str, *args: Any, size: int = 1000, timeout: float | None = None) -> Batches:
        """The rows of a statement in lists of `size`. The connection is this iteration's alone until it ends."""
        return Batches(self, sql, args, size, timeout)

    async def prepare(self, sql: str, *, timeout: float | None = None) -> PreparedStatement:
        """Prepares a statement: it is there until it is closed, or the connection is."""
        await self._turn()
        return PreparedStatement(self, await self._prepare(sql, timeout))

    def transaction(self, *, isolation: str | None = None, readonly: bool = False, deferrable: bool = False) -> Transaction:
        """`async with connection.transaction():` commits at its end, or rolls back where that is an exception.

        It has the connection for itself: others wait. Inside of another one it is a savepoint, which may be read-only, but not of
        another isolation. `isolation`: `serializable`, `repeatable read`, `read committed`.
        """
        return Transaction(self, isolation, readonly, deferrable)

    def pipeline(self) -> Pipeline:
        """`async with connection.pipeline() as pipeline:` starts queries without waiting in between."""
        return Pipeline(self)

    # Rows as Arrow.

    async def to_arrow(self, sql: str, *args: Any, timeout: float | None = None) -> Any:
        """The rows as a `pyarrow.Table`. Needs pyarrow."""
        from ._arrow import needed, table

        needed("pyarrow")
        return table(await self._run(BATCHES, sql, args, timeout))

    async def to_pandas(self, sql: str, *args: Any, timeout: float | None = None) -> Any:
        """The rows as a `pandas.DataFrame`. Needs pyarrow and pandas."""
        from ._arrow import needed

        needed("pandas")
        return (await self.to_arrow(sql, *args, timeout=timeout)).to_pandas()

    # COPY.

    async def copy_in(self, sql: str, source: Any, *, timeout: float | None = None) -> str:
        """`COPY … FROM STDIN` of a file, bytes, or an iterable of bytes or str, async or not: the command tag.

        `timeout`: seconds that all of it may take, what the source takes too.
        """
        return await CopyIn(self, sql, timeout).run(source)

    async def copy_out(self, sql: str, target: Any = None, *, timeout: float | None = None) -> Any:
        """`COPY … TO STDOUT` into a file or a callable, async or not: the command tag. Without a target: the bytes.

        `timeout`: seconds that all of it may take, what the target takes too.
        """
        return await CopyOut(self, sql, timeout).run(target)

    async def copy_records(
        self,
        table: str,
        records: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]],
        *,
        columns: Sequence[str] | None = None,
        schema: str | None = None,
        timeout: float | None = None,
    ) -> str:
        """Copies rows of Python objects, of an iterable, async or not, into a table: the command tag. The table's columns are described by
        the server first. `timeout`: as `copy_in`."""
        from ._copy import copy_records

        return await copy_records(self, table, records, columns, schema, timeout)

    # Notifications and notices.

    def listen(self, *channels: str) -> Listener:
        """`async for notification in connection.listen("channel"):` LISTENs at its first step, or as `async with`."""
        return Listener(self, channels)

    def add_notice_callback(self, callback: Callable[[errors.PostgresError], object]) -> None:
        """Is called with each notice of the server, before who awaits the query goes on."""
        if inspect.iscoroutinefunction(callback):
            raise errors.InterfaceError("a notice callback is called, not awaited: let it start a task, or put the notice into a queue")
        self._notice_callbacks.append(callback)

    def remove_notice_callback(self, callback: Callable[[errors.PostgresError], object]) -> None:
        self._notice_callbacks.remove(callback)

    # The session.

    @property
    def backend_pid(self) -> int:
        """The process ID of the server's backend."""
        return lib.conn_backend_pid(self._conn)

    @property
    def server_version(self) -> int:
        """180006 is 18.6."""
        return lib.conn_server_version(self._conn)

    def parameter(self, name: str) -> str | None:
        """A setting that the server reports, such as `TimeZone`."""
        return text(lib.conn_parameter(self._conn, name.encode()))

    @property
    def host(self) -> str | None:
        """The host in use, as it was written."""
        return text(lib.conn_host(self._conn))

    @property
    def transaction_status(self) -> str:
        """`idle`, `in transaction`, `failed`; `unknown` where the connection is not up."""
        return ("unknown", "idle", "in transaction", "failed")[lib.conn_transaction_status(self._conn)]

    def is_in_transaction(self) -> bool:
        return lib.conn_transaction_status(self._conn) in (lib.CONN_TRANSACTION_IN_BLOCK, lib.CONN_TRANSACTION_FAILED)

    def is_closed(self) -> bool:
        """Whether it is closed, or was lost."""
        return self._conn == ffi.NULL or self._lost is not None

    def _is_over(self) -> bool:
        """The same, a moment earlier: what was under way may not have been told yet."""
        return self.is_closed() or lib.conn_status(self._conn) == lib.CONN_STATUS_OVER

    def check(self) -> bool:
        """Whether it is up, idle and in no transaction, by what has arrived: asks the server nothing."""
        return not self.is_closed() and not self._line.busy and bool(lib.conn_check(self._conn))

    def inspect(self) -> str | None:
        """What it is doing, a line of JSON: for logs."""
        line = lib.conn_inspect(self._conn)
        try:
            return text(line)
        finally:
            lib.conn_free_string(line)

    async def reset(self) -> None:
        """Undoes what the session was set to: rolls back, closes what was prepared, `DISCARD ALL`'s rest. Ends listeners."""
        self._forget_statements()
        if self.is_in_transaction():
            await self.execute("ROLLBACK")
        await self.execute("SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL")
        for listener in {id(each): each for found in self._listeners.values() for each in found}.values():
            listener.reset()

    def cancel(self) -> None:
        """Gives up all that is under way: it is stopped in the server, and ends with an exception."""
        self._line.check()
        lib.conn_abandon(self._conn, 0)
        self._reactor.unwanted(False)
        self._line.send()

    async def close(self, *, timeout: float = 5.0) -> None:
        """Ends in good order: what is under way is waited for, at most `timeout` seconds."""
        if self.is_closed():
            return self.terminate()
        try:
            self._line.check()
            waiter = self._started(lib.conn_start_shutdown(self._conn, math.ceil(timeout * 1000)), NOTHING)
            if waiter is not None:
                await waiter
        except errors.Error:
            pass
        finally:
            self.terminate()

    def terminate(self) -> None:
        """Ends now. What is under way fails."""
        self._shut(errors.InterfaceError("the connection is closed"))

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *unused: object) -> None:
        await self.close()

    def __del__(self) -> None:
        if getattr(self, "_conn", ffi.NULL) != ffi.NULL and self._lost is None:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
