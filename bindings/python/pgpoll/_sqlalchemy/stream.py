"""Results that stay in the server until they are read: a cursor of SQL's, so that other statements may run meanwhile."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from .. import errors
from .._bridge import RESULT, lib
from .dbapi import Connection, Cursor

# DECLARE takes no other statements, and of these none that changes data.
_QUERY = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(?:select|values|table|with(?!.*\b(?:insert|update|delete|merge)\b))\b", re.I | re.S)


class StreamCursor(Cursor):
    """Fetches rows a batch at a time. What cannot be declared as a cursor gives all its rows at once."""

    server_side = True

    def __init__(self, connection: Connection, size: int) -> None:
        super().__init__(connection)
        self._size = size
        self._number = 0
        self._ended = True
        self._prepared: Any = None

    @property
    def _name(self) -> str:
        return f"pgpoll_stream_{self._number}"

    def execute(self, sql: str, args: Sequence[Any] | None = None) -> None:
        if not _QUERY.match(sql):
            return super().execute(sql, args)
        streams = self._connection.streams
        # The lowest number that is free: the same few statements declare them, and are prepared.
        self._number = min(set(range(1, len(streams) + 2)) - streams)
        streams.add(self._number)
        try:
            self._connection.wait(self._open(sql, tuple(args or ())))
        except BaseException:
            self.close()
            raise

    async def _open(self, sql: str, args: tuple[Any, ...]) -> None:
        hold = " WITH HOLD" if self._connection.autocommit else ""
        await self._connection.run(f"DECLARE {self._name} NO SCROLL CURSOR{hold} FOR {sql}", args)
        self._ended = False
        self._describe(await self._fetch())

    async def _fetch(self) -> Sequence[tuple[str, int, int]]:
        """Gets the next batch: its columns."""
        core, sql = self._connection.core, f"FETCH FORWARD {self._size} FROM {self._name}"
        if core._cache_size <= 0:
            columns, rows, _ = await core._run(RESULT, sql, (), None)
        else:
            self._prepared = self._prepared or await core.prepare(sql)
            columns, rows = self._prepared.columns, await self._prepared.fetch()
        self._rows.extend(rows)
        self._ended = len(rows) < self._size
        return columns

    def _need(self, count: float) -> None:
        while len(self._rows) < count and not self._ended:
            self._connection.wait(self._fetch())

    def fetchone(self) -> Any:
        self._need(1)
        return super().fetchone()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        self._need(self.arraysize if size is None else size)
        return super().fetchmany(size)

    def fetchall(self) -> list[Any]:
        self._need(float("inf"))
        return super().fetchall()

    def close(self) -> None:
        """Waits for nothing: that the cursor is gone already, with its transaction, is no error here."""
        super().close()
        if not self._number:
            return
        core = self._connection.core
        with suppress(errors.Error):
            if not core.is_closed():
                core._line.check()
                lib.conn_start_close_portal(core._conn, self._name.encode(), 0)
                if self._prepared:
                    core._close_statement(self._prepared._statement)
                core._line.send()
        self._connection.streams.discard(self._number)
        self._number, self._ended = 0, True
