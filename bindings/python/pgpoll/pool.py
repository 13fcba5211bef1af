"""A pool of connections: `async with pool.acquire() as connection`."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from . import _loops, errors
from ._opening import connect
from .connection import Connection
from .types import Record


class Pool:
    """Connections that are lent. Made by `create_pool`, or by itself and `async with`.

    A connection is looked at before it is lent, without a round trip; one that is lost, or too old, is replaced. Where the DSN names
    several hosts (`host=a,b target_session_attrs=read-write`), a new connection finds the one that serves. `setup` is awaited with each new
    connection, before it is lent for the first time: for codecs and types. What it SETs lasts until the connection comes back, and is
    reset: settings are an option, `options="-c search_path=…"`. `max_lifetime`, `max_idle`: seconds after which a connection is closed
    when it comes back.
    """

    def __init__(
        self,
        dsn: str = "",
        *,
        min_size: int = 1,
        max_size: int = 10,
        max_lifetime: float = 3600.0,
        max_idle: float = 300.0,
        setup: Callable[[Connection], Awaitable[object]] | None = None,
        **options: Any,
    ) -> None:
        if not 0 <= min_size <= max_size or max_size < 1:
            raise errors.InterfaceError("a pool has 0 <= min_size <= max_size, and max_size of 1 at least")
        self._dsn, self._options, self._setup = dsn, options, setup
        self._min, self._max, self._lifetime, self._idle_time = min_size, max_size, max_lifetime, max_idle
        self._idle: deque[tuple[Connection, float]] = deque()
        self._born: dict[Connection, float] = {}
        self._opening = 0
        self._waiting: deque[Any] = deque()
        self._coming: dict[Connection, Any] = {}
        self._closed = False

    async def open(self) -> Pool:
        """Connects `min_size` times."""
        on = _loops.here()
        made = await on.outcomes([on.start(self._connect()) for _ in range(self._min)])
        for each in made:
            if isinstance(each, Connection):
                self._idle.append((each, time.monotonic()))
        for each in made:
            if isinstance(each, BaseException):
                await self.close()
                raise each
        return self

    @property
    def size(self) -> int:
        """Connections that there are, lent ones too."""
        return len(self._born) + self._opening

    @property
    def idle(self) -> int:
        """Connections that can be lent at once."""
        return len(self._idle)

    async def _connect(self) -> Connection:
        self._opening += 1
        try:
            connection = await connect(self._dsn, **self._options)
            try:
                if self._setup is not None:
                    await self._setup(connection)
            except BaseException:
                connection.terminate()
                raise
            self._born[connection] = time.monotonic()
            return connection
        finally:
            self._opening -= 1

    def acquire(self, *, timeout: float | None = None) -> Lease:
        """A connection: awaited, then to be given to `release`; or as `async with`. `timeout`: seconds to wait for one."""
        return Lease(self, timeout)

    async def _acquire(self) -> Connection:
        while True:
            if self._closed:
                raise errors.InterfaceError("the pool is closed")
            while self._idle:
                connection, _ = self._idle.pop()
                if connection.check() and time.monotonic() - self._born[connection] < self._lifetime:
                    return connection
                self._drop(connection)
            if self.size < self._max:
                try:
                    return await self._connect()
                except BaseException:
                    self._wake()
                    raise
            waiter = _loops.here().future()
            self._waiting.append(waiter)
            try:
                await waiter
            except BaseException:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # it was this one's turn: the next one's, then
                raise
            finally:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)

    async def release(self, connection: Connection) -> None:
        """Takes a connection back. What is under way is given up, a transaction rolled back, the session's settings reset."""
        if connection not in self._born or connection in self._coming:
            raise errors.InterfaceError("the connection is not of this pool, or was released already")
        try:
            await self._reset(connection)
        except BaseException:  # the task is cancelled: another one does it
            self._coming[connection] = _loops.here().start(self._take_back(connection))
            raise
        self._returned(connection)

    async def _reset(self, connection: Connection) -> None:
        try:
            if not connection.is_closed():
                connection._close_cursor()
                connection._let_go()
                if connection._line.busy:
                    connection.cancel()
                await connection.reset()
        except errors.Error:
            connection.terminate()

    async def _take_back(self, connection: Connection) -> None:
        try:
            await self._reset(connection)
        except BaseException:
            connection.terminate()
            raise
        finally:
            self._coming.pop(connection, None)
            self._returned(connection)

    def _returned(self, connection: Connection) -> None:
        now = time.monotonic()
        if self._closed or connection.is_closed() or now - self._born[connection] >= self._lifetime:
            self._drop(connection)
        else:
            self._idle.append((connection, now))
            while len(self._idle) > 1 and self.size > self._min and now - self._idle[0][1] >= self._idle_time:
                self._drop(self._idle.popleft()[0])
        self._wake()

    def _drop(self, connection: Connection) -> None:
        self._born.pop(connection, None)
        connection.terminate()

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def fetch(self, sql: str, *args: Any, timeout: float | None = None) -> list[Record]:
        async with self.acquire() as connection:
            return await connection.fetch(sql, *args, timeout=timeout)

    async def fetchrow(self, sql: str, *args: Any, timeout: float | None = None) -> Record | None:
        async with self.acquire() as connection:
            return await connection.fetchrow(sql, *args, timeout=timeout)

    async def fetchval(self, sql: str, *args: Any, column: int = 0, timeout: float | None = None) -> Any:
        async with self.acquire() as connection:
            return await connection.fetchval(sql, *args, column=column, timeout=timeout)

    async def execute(self, sql: str, *args: Any, timeout: float | None = None) -> str:
        async with self.acquire() as connection:
            return await connection.execute(sql, *args, timeout=timeout)

    async def executemany(self, sql: str, args: Iterable[Sequence[Any]], *, timeout: float | None = None) -> int:
        async with self.acquire() as connection:
            return await connection.executemany(sql, args, timeout=timeout)

    async def close(self) -> None:
        """Closes what is idle; what is lent is closed when it comes back."""
        self._closed = True
        idle, self._idle = list(self._idle), deque()
        for connection, _ in idle:
            self._born.pop(connection, None)
        on = _loops.here()
        await on.outcomes([*(on.start(connection.close()) for connection, _ in idle), *self._coming.values()])
        while self._waiting:
            self._wake()

    async def __aenter__(self) -> Pool:
        return await self.open()

    async def __aexit__(self, *unused: object) -> None:
        await self.close()

    def __await__(self) -> Any:
        return self.open().__await__()


class Lease:
    """What `Pool.acquire` gives: to be awaited, or for `async with`."""

    def __init__(self, pool: Pool, timeout: float | None) -> None:
        self._pool, self._timeout = pool, timeout
        self._connection: Connection | None = None

    async def _take(self) -> Connection:
        if self._timeout is None:
            return await self._pool._acquire()
        return await _loops.here().within(self._timeout, self._pool._acquire())

    def __await__(self) -> Any:
        return self._take().__await__()

    async def __aenter__(self) -> Connection:
        self._connection = await self._take()
        return self._connection

    async def __aexit__(self, *unused: object) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._pool.release(connection)


def create_pool(dsn: str = "", **options: Any) -> Pool:
    """A pool: `pool = await create_pool(dsn)`, or `async with create_pool(dsn) as pool`. Options as `Pool` and `connect` have them."""
    return Pool(dsn, **options)
