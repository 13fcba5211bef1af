"""Rows a batch at a time: a portal, which the server goes on with when the program does."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any
from weakref import ref

from . import errors
from ._bridge import NOTHING, PORTAL, ffi, lib
from .types import Record

if TYPE_CHECKING:
    from .connection import Connection


class Batches:
    """An async iterator of lists of rows. Whoever leaves it early is done with it: what is left is not sent."""

    _operation = 0

    def __init__(self, connection: Connection, sql: str, args: tuple[Any, ...], size: int, timeout: float | None) -> None:
        if size < 1:
            raise errors.InterfaceError("a batch has a size of 1 at least")
        self._connection, self._sql, self._args, self._size, self._timeout = connection, sql, args, size, timeout
        self._statement: Any = None
        self._token: object | None = None
        self._ended = self._cut = False

    @property
    def is_open(self) -> bool:
        return bool(self._operation) and not self._ended

    def __aiter__(self) -> Batches:
        return self

    async def __anext__(self) -> list[Record]:
        if self._cut:
            raise errors.InterfaceError("the cursor has ended with its transaction, or its connection went back: there may be more rows")
        if self._ended:
            raise StopAsyncIteration
        try:
            rows, more = await (await self._start() if not self._operation else self._go_on())
        except BaseException:
            self.close()
            raise
        if not more:
            self._cut = False
            self.close()
        if not rows:
            raise StopAsyncIteration
        return rows

    async def _start(self) -> Any:
        connection = self._connection
        self._token = await connection._hold()
        connection._cursor = ref(self)  # who forgets a cursor has ended it
        if connection._cache_size <= 0:
            waiter = await connection._unprepared(PORTAL, self._sql, self._args, self._size, self._timeout)
        else:
            self._statement = await connection._statement(self._sql, self._timeout)
            while (waiter := connection._line.start(PORTAL, self._statement, self._args, self._size, self._timeout)) is None:
                await connection._room()
                self._statement = await connection._statement(self._sql, self._timeout)
        self._operation = waiter.operation
        if self._ended:  # meanwhile
            self._end()
        return waiter

    def _go_on(self) -> Any:
        connection = self._connection
        connection._line.check()
        if not lib.conn_continue(connection._conn, self._size):
            raise connection._refused()
        return connection._line.expect(PORTAL, self._operation, self._statement)

    def close(self) -> None:
        """Ends it now; waits for nothing."""
        if self._ended:
            return
        self._ended = True
        self._end()

    def _end(self) -> None:
        connection = self._connection
        try:
            if self._operation and not connection._is_over():
                connection._started(lib.conn_sync(connection._conn), NOTHING)
        finally:
            connection._release(self._token)

    def cut(self) -> None:
        """The same, but not as its program wanted: who goes on is told."""
        self._cut |= not self._ended
        self.close()

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    def __del__(self) -> None:
        if self.is_open and self._connection._conn != ffi.NULL:
            self.close()


class Rows:
    """An async iterator of rows, of which a batch is received at a time."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._rows: deque[Any] = deque()

    def __aiter__(self) -> Rows:
        return self

    async def __anext__(self) -> Any:
        while not self._rows:
            self._rows.extend(await self._batches.__anext__())
        return self._rows.popleft()

    async def aclose(self) -> None:
        """Ends it now."""
        self._batches.close()
