"""COPY in and out. It has the connection for itself until the server has ended it, also when it was given up."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from . import errors
from ._bridge import COPY, ffi, lib, native

if TYPE_CHECKING:
    from .connection import Connection

PIECE = 256 * 1024
"""Bytes that are read, and moved, at once."""


class _Copy:
    way: int = 0

    def __init__(self, connection: Connection, sql: str) -> None:
        self._connection, self._sql = connection, sql
        self._news: Any = None
        self._done: Any = None
        self._unblock: Callable[[], None] | None = None
        self._again = False

    def begun(self, way: int, form: int) -> None:
        """The server has agreed."""
        self._again = self.way != 0
        self.way = way
        self.news()

    def news(self) -> None:
        """There is something to look at."""
        if self._news is not None:
            self._news.set_result(None)

    def over(self) -> None:
        """The server has ended it."""
        if self._unblock is not None:
            self._unblock()

    async def _look(self) -> None:
        """Waits for news."""
        self._news = self._connection._line.future()
        self._connection._line.send()
        try:
            if not self._done.done():
                await self._news
        finally:
            self._news = None
        if self._again:
            raise errors.InterfaceError("this is for one COPY: the statement after it is another one")

    async def _copied(self, wanted: int, body: Callable[[], Awaitable[None]]) -> Any:
        connection = self._connection
        token = await connection._hold()
        try:
            while (done := self._start()) is None:
                await connection._room()
        except BaseException:
            connection._release(token)
            raise
        self._done = done
        done.add_done_callback(lambda _: self.news())
        try:
            while not self.way and not done.done():
                await self._look()
            if self.way and self.way != wanted:
                raise errors.InterfaceError(f"the statement copies the other way: use copy_{'out' if wanted == lib.CONN_COPY_IN else 'in'}")
            if not self.way:
                await done
                raise errors.InterfaceError(f"the statement is no COPY {'FROM STDIN' if wanted == lib.CONN_COPY_IN else 'TO STDOUT'}")
            await body()
            while not done.done():  # never awaited itself: who is cancelled would not know when the server has ended it
                await self._look()
            return await done
        except BaseException:
            self._give_up(done.operation)
            raise
        finally:
            connection._release(token)

    def _start(self) -> Any:
        connection = self._connection
        encoded = connection._encoded(self._sql)
        connection._set_timeout(None)
        done = connection._started(lib.conn_start_copy(connection._conn, encoded), COPY)
        if done is not None:
            connection._copy = self
        return done

    def _give_up(self, operation: int) -> None:
        """Nobody has the connection until the server has ended the COPY, of whose timeout its task is told earlier."""
        connection = self._connection
        if connection._copy is self and not connection.is_closed():
            self._unblock = connection._block()
            lib.conn_abandon(connection._conn, operation)
            connection._line.send()


class CopyIn(_Copy):
    """Data from the program to the server."""

    async def run(self, source: Any) -> str:
        """Copies all of it; the command tag."""
        return await self._copied(lib.CONN_COPY_IN, lambda: self._put_all(source))

    async def _put_all(self, source: Any) -> None:
        sent = 0
        async with aclosing(_pieces(source)) as pieces:
            async for piece in pieces:
                data = piece.encode() if isinstance(piece, str) else piece
                if not await self._put(data):
                    return
                sent += len(data)
                if sent >= PIECE:
                    sent = 0
                    self._connection._line.send()
        if lib.conn_copy_end(self._connection._conn, ffi.NULL):
            self._connection._line.send()

    async def _put(self, data: Any) -> bool:
        """False where the server has ended it already: its error is the outcome."""
        connection = self._connection
        buffer = ffi.from_buffer(data)
        while not lib.conn_copy_put(connection._conn, buffer, len(buffer)):
            if lib.conn_error_kind(lib.conn_error(connection._conn)) != lib.CONN_ERROR_WOULD_BLOCK:
                return False
            await connection._room()
        return True


class CopyOut(_Copy):
    """Data from the server to the program."""

    async def run(self, target: Any = None) -> Any:
        """Copies all of it; the command tag, or without a target the bytes."""
        kept: list[bytes] = []
        if target is None:
            await self._copied(lib.CONN_COPY_OUT, lambda: self._take_all(kept.append))
            return b"".join(kept)
        return await self._copied(lib.CONN_COPY_OUT, lambda: self._take_all(getattr(target, "write", target)))

    async def _take_all(self, write: Any) -> None:
        line = self._connection._line
        while True:
            while data := line.copy_take(PIECE):
                written = write(data)
                if inspect.isawaitable(written):
                    await written
            if self._done.done():
                return
            reactor = self._connection._reactor
            if reactor.loop is not None:
                reactor.loop.call_soon(reactor.taken)
            await self._look()


async def _pieces(source: Any) -> AsyncGenerator[Any, None]:
    if isinstance(source, (bytes, bytearray, memoryview, str)):
        yield source
    elif hasattr(source, "read"):
        while piece := source.read(PIECE):
            if inspect.isawaitable(piece):
                piece = await piece
                if not piece:
                    return
            yield piece
    elif hasattr(source, "__aiter__"):
        async for piece in source:
            yield piece
    elif isinstance(source, Iterable):
        for piece in source:
            yield piece
    else:
        raise errors.InterfaceError(f"COPY takes a file, bytes, or an iterable of bytes or str, not {type(source).__name__}")


def quoted(name: str) -> str:
    """An identifier as SQL."""
    return '"' + name.replace('"', '""') + '"'


async def copy_records(
    connection: Connection,
    table: str,
    records: Iterable[Sequence[Any]],
    columns: Sequence[str] | None,
    schema: str | None,
) -> str:
    """Rows of Python objects into a table, in binary where all its types can be."""
    into = f"{quoted(schema)}.{quoted(table)}" if schema else quoted(table)
    names = ", ".join(map(quoted, columns)) if columns is not None else "*"
    statement = await connection._statement(f"SELECT {names} FROM {into}")
    listed = ", ".join(quoted(name) for name, _, _ in statement.columns)
    codecs = connection._codecs
    if all(native.is_built_in(oid, codecs) for _, oid, _ in statement.columns):
        return await connection.copy_in(f"COPY {into} ({listed}) FROM STDIN (FORMAT binary)", _binary(statement, iter(records)))
    return await connection.copy_in(f"COPY {into} ({listed}) FROM STDIN", _text(connection, statement, records))


def _binary(statement: Any, records: Iterator[Sequence[Any]]) -> Iterator[bytes]:
    first = True
    while True:
        piece = native.copy_rows(statement, records, PIECE, first)
        ended = len(piece) < PIECE
        yield piece + b"\xff\xff" if ended else piece
        if ended:
            return
        first = False


def _text(connection: Connection, statement: Any, records: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    from ._codecs import text_codec, type_name

    encoders = [(text_codec(connection._codecs, oid)[0], oid) for _, oid, _ in statement.columns]
    for record in records:
        if len(record) != len(encoders):
            raise errors.InterfaceError(f"a record has {len(record)} values, the table's columns are {len(encoders)}")
        cells = []
        for number, (value, (encode, oid)) in enumerate(zip(record, encoders, strict=True), 1):
            try:
                cells.append("\\N" if value is None else encode(value).translate(_ESCAPES))
            except (TypeError, ValueError, OverflowError) as error:
                raise errors.ParameterError(f"parameter ${number} of type {type_name(oid)}: {error}") from error
        yield ("\t".join(cells) + "\n").encode()


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
