"""Queries that are started one behind the other, without waiting for each: for a task that has no others to do so."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from . import _loops
from .types import Record

if TYPE_CHECKING:
    from .connection import Connection


T = TypeVar("T")


class Future(Protocol[T], Awaitable[T]):  # type: ignore[misc]
    """What a call of a pipeline gives: a task of asyncio's, or the like of it."""

    def done(self) -> bool: ...
    def result(self) -> T: ...
    def exception(self) -> BaseException | None: ...
    def cancel(self) -> object: ...


class Pipeline:
    """`async with connection.pipeline() as pipeline:` Each call gives a future at once; at the end all are awaited.

    Each query succeeds or fails by itself, outside of a transaction. The first failure is raised at the end, when all are done.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._started: list[Any] = []

    def _start(self, work: Coroutine[Any, Any, Any]) -> Any:
        task = _loops.here().start(work)
        self._started.append(task)
        return task

    def fetch(self, sql: str, *args: Any) -> Future[list[Record]]:
        """All rows, in time."""
        return self._start(self._connection.fetch(sql, *args))

    def fetchrow(self, sql: str, *args: Any) -> Future[Record | None]:
        """The first row, in time."""
        return self._start(self._connection.fetchrow(sql, *args))

    def fetchval(self, sql: str, *args: Any) -> Future[Any]:
        """The first value, in time."""
        return self._start(self._connection.fetchval(sql, *args))

    def execute(self, sql: str, *args: Any) -> Future[str]:
        """The command tag, in time."""
        return self._start(self._connection.execute(sql, *args))

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None:
            for task in self._started:
                task.cancel()
        outcomes = await _loops.here().outcomes(self._started)
        for outcome in outcomes if kind is None else []:
            if isinstance(outcome, BaseException):
                raise outcome
