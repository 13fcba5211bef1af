"""Statements: prepared when they are first executed, kept while they are used, prepared anew when they went stale."""

from __future__ import annotations

import random
from typing import Any

from . import _codecs, errors
from ._bridge import ffi, lib
from ._core import Core

STALE = (errors.FeatureNotSupported, errors.InvalidStatementName)
"""What a statement that went stale fails with, among others."""


def _blanks(number: int) -> str:
    """A number as spaces and tabs, which make a statement another text; none for 0."""
    return f"{number:b}".replace("0", " ").replace("1", "\t") if number else ""


class Statements(Core):
    """The part of a connection that executes statements."""

    async def _slowly(self, mode: int, sql: str, args: tuple[Any, ...], timeout: float | None) -> Any:
        """A query whose statement is not prepared, or that has to wait for its turn."""
        if self._cache_size <= 0:
            return await (await self._unprepared(mode, sql, args, 0, timeout))
        while True:
            statement = await self._statement(sql, timeout)
            if (waiter := self._line.start(mode, statement, args, 0, timeout)) is not None:
                return await waiter
            await self._room()

    async def _unprepared(self, mode: int, sql: str, args: tuple[Any, ...], max_rows: int, timeout: float | None) -> Any:
        """Starts a statement in one round trip that leaves nothing in the server: values and results as text. The waiter."""
        await self._turn()
        values = [ffi.NULL if value is None else ffi.new("char[]", self._argument(number, value)) for number, value in enumerate(args, 1)]
        while True:
            self._set_timeout(timeout)
            text = self._encoded(sql)
            operation = lib.conn_start_query_params(
                self._conn, text, len(values), ffi.NULL, values, ffi.NULL, ffi.NULL, lib.CONN_TEXT, max_rows, 0
            )
            if (waiter := self._started(operation, mode)) is not None:
                return waiter
            await self._room()

    def _argument(self, number: int, value: Any) -> bytes:
        try:
            encoded = _codecs.any_text(value).encode()
        except (TypeError, ValueError, OverflowError) as error:
            raise errors.ParameterError(f"parameter ${number}: {error}") from error
        if b"\0" in encoded:
            raise errors.ParameterError(f"parameter ${number}: text of PostgreSQL cannot have a character 0")
        return encoded

    async def _statement(self, sql: str, timeout: float | None = None) -> Any:
        """From the cache, or prepared now: by one task, for all that ask meanwhile. The connection is this task's to use."""
        while True:
            await self._turn()
            if (statement := self._line.statements.get(sql)) is not None:
                return statement
            if (others := self._preparing.get(sql)) is not None:
                waiter = self._line.future()
                others.append(waiter)
                await waiter
                continue
            self._preparing[sql] = []
            try:
                statement = await self._prepare(sql, timeout)
                self._keep(sql, statement)
            finally:
                for waiter in self._preparing.pop(sql):
                    waiter.set_result(None)
            await self._turn()
            if not statement.dead:  # others have had their turn, perhaps, and no room for it in the cache
                return statement

    async def _describe(self, sql: str, timeout: float | None) -> Any:
        """The same where the columns are all that is wanted: without a cache nothing is left in the server."""
        if self._cache_size > 0:
            return await self._statement(sql, timeout)
        await self._turn()
        return await self._prepare(sql, timeout, b"")

    async def _prepare(self, sql: str, timeout: float | None, name: bytes | None = None) -> Any:
        self._encoded(sql)
        self._close_names()
        if name is None:
            self._names += 1
            name = f"pgpoll_{self._names}".encode()
        while (waiter := self._line.prepare(sql, name, timeout, sql + _blanks(self._renewed.get(sql, 0)))) is None:
            await self._room()
        try:
            return await waiter
        except BaseException as error:
            if not isinstance(error, errors.PostgresError) or isinstance(error, errors.QueryTimeout):
                self._close_name(name)  # the server may have prepared it all the same
            raise

    async def _run(self, mode: int, sql: str, args: tuple[Any, ...], timeout: float | None) -> Any:
        """Executes a statement; what tasks await often does the same by itself."""
        try:
            return await self._execute(mode, sql, args, timeout)
        except STALE as error:
            return await self._again(error, mode, sql, args, timeout)

    async def _again(self, error: errors.PostgresError, mode: int, sql: str, args: tuple[Any, ...], timeout: float | None) -> Any:
        self._renew(error, sql)
        try:
            return await self._slowly(mode, sql, args, timeout)
        except STALE as another:  # a pooler knew the new text, too, with a plan that went stale: of another client's, from before
            self._renew(another, sql)
            self._renewed[sql] = random.getrandbits(32)
            return await self._slowly(mode, sql, args, timeout)

    def _renew(self, error: errors.PostgresError, sql: str) -> None:
        """Raises the error, unless it says that a prepared statement was lost or has other columns now, and no
        transaction of this task failed with it.

        Nothing was executed then: it can be prepared anew and executed once more. A pooler that knows the text may have its old plan for
        it: blanks make it another one.
        """
        lost = error.sqlstate == "26000" and '"pgpoll_' in error.message
        if not lost and error.server_source_function != "RevalidateCachedQuery":
            raise error
        if not lost and sql not in self._preparing and sql not in self._line.statements:  # of those that failed, the first
            self._renewed[sql] = self._renewed.get(sql, 0) + 1
        if lib.conn_transaction_status(self._conn) != lib.CONN_TRANSACTION_IDLE and self._line.is_mine():
            raise error

    def _keep(self, sql: str, statement: Any) -> None:
        cache = self._line.statements
        if self._cache_size <= 0:
            return
        while len(cache) >= self._cache_size:
            oldest = min(cache, key=lambda each: cache[each].used)
            self._close_statement(cache.pop(oldest))
        cache[sql] = statement

    def _close_statement(self, statement: Any) -> None:
        if not statement.dead:
            statement.dead = 1
            self._close_name(statement.name)

    def _close_name(self, name: bytes) -> None:
        self._unclosed.append(name)
        self._close_names()

    def _close_names(self) -> None:
        """While a COPY or a cursor has the line it cannot be: then the next time."""
        if self._unclosed and self._lost is None and self._conn != ffi.NULL:
            self._line.check()  # executions that were put off are before it
            self._set_timeout(None)
            while self._unclosed and lib.conn_start_close_statement(self._conn, self._unclosed[0], 0):
                self._unclosed.popleft()

    def _forget_statements(self) -> None:
        for sql in list(self._line.statements):
            self._close_statement(self._line.statements.pop(sql))
