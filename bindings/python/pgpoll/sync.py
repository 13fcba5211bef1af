"""The same without an event loop: each call waits until it is done, other threads run meanwhile.

    with pgpoll.sync.connect("host=localhost") as connection:
        connection.fetch("select 1")

A connection is for one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

from . import connection as asynchronous
from . import errors
from ._opening import opened
from ._reactor import Reactor
from .types import Notification, Record

_SLICE = 200
"""Milliseconds after which signals are looked at: Ctrl-C works meanwhile."""


def _finish(line: Any, work: Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine of this package's: what it awaits are waiters of the line, and nothing else."""
    try:
        waiter = work.send(None)
        while True:
            try:
                while not waiter.done():
                    line().wait(_SLICE)
            except BaseException as error:
                # A signal, or the line itself. What the work does about it is waited for, too.
                waiter.cancel()
                waiter = work.throw(error)
            else:
                waiter = work.send(None)
    except StopIteration as stop:
        return stop.value


def connect(
    dsn: str = "",
    *,
    timeout: float | None = None,
    command_timeout: float | None = None,
    statement_cache_size: int = 100,
    oauth_token: str | Callable[[], str] | None = None,
    **options: Any,
) -> Connection:
    """As `pgpoll.connect`."""
    made: list[Reactor] = []

    def reacts(owner: Any) -> Reactor:
        made.append(Reactor(owner))
        return made[0]

    token = oauth_token() if callable(oauth_token) else oauth_token
    work = opened(dsn, options, reacts, False, timeout, command_timeout, statement_cache_size, token)
    return Connection(_finish(lambda: made[0].owner._line, work))


class Connection:
    """A session of the server. Its methods are those of `pgpoll.Connection`, without `await`."""

    def __init__(self, connection: asynchronous.Connection) -> None:
        self._connection = connection
        self._calls = Lock()

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        if not self._calls.acquire(blocking=False):
            work.close()
            raise errors.InterfaceError("another call is inside of this connection: it is for one thread at a time")
        try:
            return _finish(lambda: self._connection._line, work)
        finally:
            self._calls.release()

    def fetch(self, sql: str, *args: Any, timeout: float | None = None) -> list[Record]:
        """All rows."""
        return self._wait(self._connection.fetch(sql, *args, timeout=timeout))

    def fetchrow(self, sql: str, *args: Any, timeout: float | None = None) -> Record | None:
        """The first row, or None."""
        return self._wait(self._connection.fetchrow(sql, *args, timeout=timeout))

    def fetchval(self, sql: str, *args: Any, column: int = 0, timeout: float | None = None) -> Any:
        """A value of the first row, or None."""
        return self._wait(self._connection.fetchval(sql, *args, column=column, timeout=timeout))

    def execute(self, sql: str, *args: Any, timeout: float | None = None) -> str:
        """The command tag."""
        return self._wait(self._connection.execute(sql, *args, timeout=timeout))

    def executemany(self, sql: str, args: Iterable[Sequence[Any]], *, timeout: float | None = None) -> int:
        """Once for each sequence of arguments; all of it takes effect, or nothing. How many rows were touched."""
        return self._wait(self._connection.executemany(sql, args, timeout=timeout))

    def batches(self, sql: str, *args: Any, size: int = 1000, timeout: float | None = None) -> Iterator[list[Any]]:
        """The rows in lists of `size`."""
        batches: Any = self._connection.batches(sql, *args, size=size, timeout=timeout)
        try:
            while True:
                try:
                    batch = self._wait(_next(batches))
                except StopAsyncIteration:
                    return
                yield batch
        finally:
            batches.close()

    def cursor(self, sql: str, *args: Any, prefetch: int = 50, timeout: float | None = None) -> Iterator[Any]:
        """The rows, `prefetch` a round trip."""
        for batch in self.batches(sql, *args, size=prefetch, timeout=timeout):
            yield from batch

    @contextmanager
    def transaction(self, *, isolation: str | None = None, readonly: bool = False, deferrable: bool = False) -> Iterator[None]:
        """Commits at its end, or rolls back; inside of another one a savepoint."""
        transaction = self._connection.transaction(isolation=isolation, readonly=readonly, deferrable=deferrable)
        self._wait(transaction.start())
        try:
            yield
        except BaseException as error:
            self._wait(transaction.__aexit__(type(error), error, None))
            raise
        self._wait(transaction.__aexit__(None, None, None))

    def to_arrow(self, sql: str, *args: Any, timeout: float | None = None) -> Any:
        """The rows as a `pyarrow.Table`."""
        return self._wait(self._connection.to_arrow(sql, *args, timeout=timeout))

    def to_pandas(self, sql: str, *args: Any, timeout: float | None = None) -> Any:
        """The rows as a `pandas.DataFrame`."""
        return self._wait(self._connection.to_pandas(sql, *args, timeout=timeout))

    def copy_in(self, sql: str, source: Any) -> str:
        """The command tag."""
        return self._wait(self._connection.copy_in(sql, source))

    def copy_out(self, sql: str, target: Any = None) -> Any:
        """The command tag; without a target the bytes."""
        return self._wait(self._connection.copy_out(sql, target))

    def copy_records(self, table: str, records: Iterable[Sequence[Any]], **where: Any) -> str:
        """The command tag."""
        return self._wait(self._connection.copy_records(table, records, **where))

    def listen(self, *channels: str) -> Iterator[Notification]:
        """Notifications, as they come."""
        listener = self._connection.listen(*channels)
        self._wait(listener.start())
        try:
            while True:
                yield self._wait(listener.__anext__())
        finally:
            self._wait(listener.stop())

    def close(self) -> None:
        """Ends in good order."""
        self._wait(self._connection.close())

    def is_closed(self) -> bool:
        """Whether it is closed, or was lost."""
        return self._connection.is_closed()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


async def _next(batches: Any) -> Any:
    return await batches.__anext__()
