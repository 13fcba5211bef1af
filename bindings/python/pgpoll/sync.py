"""The same without an event loop: each call waits until it is done, other threads run meanwhile.

    with pgpoll.sync.connect("host=localhost") as connection:
        connection.fetch("select 1")

A connection is for one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Lock
from typing import Any

from . import connection as asynchronous
from . import errors
from ._opening import opened
from ._reactor import Reactor
from .types import Notification, Record

_SLICE = 200
"""Milliseconds after which signals are looked at: Ctrl-C works meanwhile."""


class Running:
    """A coroutine of this package's, run up to what it awaits first: waiters of the line, and nothing else."""

    def __init__(self, line: Callable[[], Any], work: Coroutine[Any, Any, Any]) -> None:
        self._line, self._work = line, work
        self._waiter: Any = None
        self._value: Any = None
        self.error: BaseException | None = None
        self._step(work.send, None)

    def _step(self, go: Callable[[Any], Any], what: Any) -> None:
        self._waiter = None
        try:
            self._waiter = go(what)
        except StopIteration as stop:
            self._value = stop.value
        except BaseException as error:
            self.error = error
        finally:
            del self, go  # an exception whose frames hold it is a cycle

    def finish(self) -> None:
        """Waits until it is done."""
        while self._waiter is not None:
            try:
                while not self._waiter.done():
                    self._line().wait(_SLICE)
            except BaseException as error:
                # A signal, or the line itself. What the work does about it is waited for, too.
                self._waiter.cancel()
                self._step(self._work.throw, error)
            else:
                self._step(self._work.send, None)

    def result(self) -> Any:
        self.finish()
        if self.error is not None:
            try:
                raise self.error
            finally:
                del self
        return self._value


def connect(
    dsn: str = "",
    *,
    timeout: float | None = None,
    command_timeout: float | None = None,
    statement_cache_size: int = 100,
    pooled: bool | None = None,
    oauth_token: str | Callable[[], str] | None = None,
    **options: Any,
) -> Connection:
    """As `pgpoll.connect`."""
    made: list[Reactor] = []

    def reacts(owner: Any) -> Reactor:
        made.append(Reactor(owner))
        return made[0]

    token = oauth_token() if callable(oauth_token) else oauth_token
    work = opened(dsn, options, reacts, False, timeout, command_timeout, statement_cache_size, token, pooled)
    return Connection(Running(lambda: made[0].owner._line, work).result())


class Connection:
    """A session of the server. Its methods are those of `pgpoll.Connection`, without `await`."""

    def __init__(self, connection: asynchronous.Connection) -> None:
        self._connection = connection
        self._calls = Lock()

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._together([work])[0].result()

    def _together(self, works: list[Coroutine[Any, Any, Any]]) -> list[Running]:
        """All are started before the first is waited for."""
        if not self._calls.acquire(blocking=False):
            for work in works:
                work.close()
            raise errors.InterfaceError("another call is inside of this connection: it is for one thread at a time")
        try:
            running = [Running(lambda: self._connection._line, work) for work in works]
            for each in running:
                each.finish()
            return running
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

    def prepare(self, sql: str, *, timeout: float | None = None) -> PreparedStatement:
        """Prepares a statement, to be executed often."""
        return PreparedStatement(self, self._wait(self._connection.prepare(sql, timeout=timeout)))

    def pipeline(self) -> Pipeline:
        """Queries that are sent together: see `Pipeline`."""
        return Pipeline(self)

    def batches(self, sql: str, *args: Any, size: int = 1000, timeout: float | None = None) -> Generator[list[Any], None, None]:
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
        with closing(self.batches(sql, *args, size=prefetch, timeout=timeout)) as batches:
            for batch in batches:
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

    def copy_in(self, sql: str, source: Any, *, timeout: float | None = None) -> str:
        """The command tag."""
        return self._wait(self._connection.copy_in(sql, source, timeout=timeout))

    def copy_out(self, sql: str, target: Any = None, *, timeout: float | None = None) -> Any:
        """The command tag; without a target the bytes."""
        return self._wait(self._connection.copy_out(sql, target, timeout=timeout))

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

    def add_notice_callback(self, callback: Callable[[errors.PostgresError], object]) -> None:
        """Is called with each notice of the server."""
        self._connection.add_notice_callback(callback)

    def remove_notice_callback(self, callback: Callable[[errors.PostgresError], object]) -> None:
        self._connection.remove_notice_callback(callback)

    def set_type_codec(self, typename: str, **how: Any) -> None:
        """As `pgpoll.Connection.set_type_codec`."""
        self._wait(self._connection.set_type_codec(typename, **how))

    def register_type(self, typename: str) -> None:
        """As `pgpoll.Connection.register_type`."""
        self._wait(self._connection.register_type(typename))

    @property
    def backend_pid(self) -> int:
        """The process ID of the server's backend."""
        return self._connection.backend_pid

    @property
    def server_version(self) -> int:
        """180006 is 18.6."""
        return self._connection.server_version

    @property
    def host(self) -> str | None:
        """The host in use, as it was written."""
        return self._connection.host

    @property
    def transaction_status(self) -> str:
        """`idle`, `in transaction`, `failed`; `unknown` where the connection is not up."""
        return self._connection.transaction_status

    def is_in_transaction(self) -> bool:
        return self._connection.is_in_transaction()

    def parameter(self, name: str) -> str | None:
        """A setting that the server reports, such as `TimeZone`."""
        return self._connection.parameter(name)

    def check(self) -> bool:
        """Whether it is up, idle and in no transaction, by what has arrived: asks the server nothing."""
        return self._connection.check()

    def inspect(self) -> str | None:
        """What it is doing, a line of JSON: for logs."""
        return self._connection.inspect()

    def reset(self) -> None:
        """Undoes what the session was set to."""
        self._wait(self._connection.reset())

    def close(self, *, timeout: float = 5.0) -> None:
        """Ends in good order."""
        self._wait(self._connection.close(timeout=timeout))

    def terminate(self) -> None:
        """Ends now."""
        self._connection.terminate()

    def is_closed(self) -> bool:
        """Whether it is closed, or was lost."""
        return self._connection.is_closed()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()


class PreparedStatement:
    """A statement that is prepared once and executed often. Made by `Connection.prepare`."""

    def __init__(self, connection: Connection, statement: Any) -> None:
        self._connection, self._statement = connection, statement

    def fetch(self, *args: Any, timeout: float | None = None) -> list[Record]:
        """All rows."""
        return self._connection._wait(self._statement.fetch(*args, timeout=timeout))

    def fetchrow(self, *args: Any, timeout: float | None = None) -> Record | None:
        """The first row, or None."""
        return self._connection._wait(self._statement.fetchrow(*args, timeout=timeout))

    def fetchval(self, *args: Any, column: int = 0, timeout: float | None = None) -> Any:
        """A value of the first row, or None."""
        return self._connection._wait(self._statement.fetchval(*args, column=column, timeout=timeout))

    def execute(self, *args: Any, timeout: float | None = None) -> str:
        """The command tag."""
        return self._connection._wait(self._statement.execute(*args, timeout=timeout))

    def executemany(self, args: Iterable[Sequence[Any]], *, timeout: float | None = None) -> int:
        """As `Connection.executemany`."""
        return self._connection._wait(self._statement.executemany(args, timeout=timeout))

    @property
    def parameters(self) -> tuple[int, ...]:
        """The OIDs of the parameters' types."""
        return self._statement.parameters

    @property
    def columns(self) -> tuple[tuple[str, int, int], ...]:
        """Name, OID of the type and type modifier of each column."""
        return self._statement.columns

    def close(self) -> None:
        """It is not needed any more."""
        self._connection._wait(self._statement.close())


class Later:
    """What a call of a pipeline gives: the result is there when the `with` is over."""

    def __init__(self) -> None:
        self._running: Running | None = None

    def result(self) -> Any:
        if self._running is None:
            raise errors.InterfaceError("a pipeline's results are there when its `with` is over")
        return self._running.result()


class Pipeline:
    """`with connection.pipeline() as pipeline: later = pipeline.fetchval(…)`: all is sent at the end of it, before the first answer is
    waited for. Each query succeeds or fails by itself, outside of a transaction; the first failure is raised, when all are done.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._calls: list[tuple[Later, Coroutine[Any, Any, Any]]] = []

    def _add(self, work: Coroutine[Any, Any, Any]) -> Later:
        later = Later()
        self._calls.append((later, work))
        return later

    def fetch(self, sql: str, *args: Any) -> Later:
        """All rows."""
        return self._add(self._connection._connection.fetch(sql, *args))

    def fetchrow(self, sql: str, *args: Any) -> Later:
        """The first row, or None."""
        return self._add(self._connection._connection.fetchrow(sql, *args))

    def fetchval(self, sql: str, *args: Any) -> Later:
        """The first value, or None."""
        return self._add(self._connection._connection.fetchval(sql, *args))

    def execute(self, sql: str, *args: Any) -> Later:
        """The command tag."""
        return self._add(self._connection._connection.execute(sql, *args))

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, kind: type[BaseException] | None, *unused: object) -> None:
        calls, self._calls = self._calls, []
        if kind is not None:
            for _, work in calls:
                work.close()
            return
        running = self._connection._together([work for _, work in calls])
        for (later, _), each in zip(calls, running, strict=True):
            later._running = each
        for each in running:
            if each.error is not None:
                each.result()


async def _next(batches: Any) -> Any:
    return await batches.__anext__()
