"""Statements that the program prepares by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ._bridge import ROW, ROWS, TAG
from ._statements import STALE
from .types import Record

if TYPE_CHECKING:
    from .connection import Connection


class PreparedStatement:
    """A statement that is prepared once and executed often. Made by `Connection.prepare`."""

    def __init__(self, connection: Connection, statement: Any) -> None:
        self._connection, self._statement = connection, statement

    async def _execute(self, mode: int, args: tuple[Any, ...], timeout: float | None) -> Any:
        while True:
            await self._connection._turn()
            if self._statement.dead:  # it was lost, or its columns are others by now
                self._statement = await self._connection._prepare(self._statement.sql, timeout)
            if (waiter := self._connection._line.start(mode, self._statement, args, 0, timeout)) is None:
                await self._connection._room()
                continue
            try:
                return await waiter
            except STALE as error:
                self._connection._renew(error, self._statement.sql)

    async def fetch(self, *args: Any, timeout: float | None = None) -> list[Record]:
        """All rows."""
        return await self._execute(ROWS, args, timeout)

    async def fetchrow(self, *args: Any, timeout: float | None = None) -> Record | None:
        """The first row, or None."""
        return await self._execute(ROW, args, timeout)

    async def fetchval(self, *args: Any, column: int = 0, timeout: float | None = None) -> Any:
        """A value of the first row, or None."""
        row = await self._execute(ROW, args, timeout)
        return None if row is None else row[column]

    async def execute(self, *args: Any, timeout: float | None = None) -> str:
        """The command tag."""
        return await self._execute(TAG, args, timeout)

    async def executemany(self, args: Iterable[Sequence[Any]], *, timeout: float | None = None) -> int:
        """As `Connection.executemany`."""
        return await self._connection._many(self._statement, args, timeout)

    @property
    def parameters(self) -> tuple[int, ...]:
        """The OIDs of the parameters' types."""
        return self._statement.parameters

    @property
    def columns(self) -> tuple[tuple[str, int, int], ...]:
        """Name, OID of the type and type modifier of each column."""
        return self._statement.columns

    async def close(self) -> None:
        """It is not needed any more."""
        if not self._connection.is_closed():
            self._connection._close_statement(self._statement)
            self._connection._line.send()
