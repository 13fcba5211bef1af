"""Queries that are started one behind the other, without waiting for each: for a task that has no others to do so."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from .types import Record

if TYPE_CHECKING:
    from .connection import Connection


class Pipeline:
    """`async with connection.pipeline() as pipeline:` Each call gives a future at once; at the end all are awaited.

    Each query succeeds or fails by itself, outside of a transaction. The first failure is raised at the end, when all are done.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._started: list[asyncio.Task[Any]] = []

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._started.append(task)
        return task

    def fetch(self, sql: str, *args: Any) -> asyncio.Task[list[Record]]:
        """All rows, in time."""
        return self._start(self._connection.fetch(sql, *args))

    def fetchrow(self, sql: str, *args: Any) -> asyncio.Task[Record | None]:
        """The first row, in time."""
        return self._start(self._connection.fetchrow(sql, *args))

    def fetchval(self, sql: str, *args: Any) -> asyncio.Task[Any]:
        """The first value, in time."""
        return self._start(self._connection.fetchval(sql, *args))

    def execute(self, sql: str, *args: Any) -> asyncio.Task[str]:
        """The command tag, in time."""
        return self._start(self._connection.execute(sql, *args))

    async def __aenter__(self) -> Pipeline:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None:
            for task in self._started:
                task.cancel()
        outcomes = await asyncio.gather(*self._started, return_exceptions=True)
        for outcome in outcomes if kind is None else []:
            if isinstance(outcome, BaseException):
                raise outcome
