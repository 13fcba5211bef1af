"""COPY in and out. It has the connection for itself until the server has ended it, also when it was given up."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

from . import _loops, errors
from ._bridge import COPY, ffi, lib, native
from ._core import milliseconds

if TYPE_CHECKING:
    from .connection import Connection

PIECE = 256 * 1024
"""Bytes that are read, and moved, at once."""
RUN = 1000
"""Rows of an async iterable that are encoded at once."""


class _Copy:
    way: int = 0

    def __init__(self, connection: Connection, sql: str, timeout: float | None) -> None:
        self._connection, self._sql, self._timeout = connection, sql, timeout
        self._news: Any = None
        self._done: Any = None
        self._unblock: Callable[[], None] | None = None
        self._failure: BaseException | None = None
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

    async def _in_time(self, wanted: int, body: Callable[[], Awaitable[None]]) -> Any:
        """The operation ends in time by itself; what the program awaits in a source or a target is ended from here."""
        timeout = self._timeout
        if timeout is None or milliseconds(timeout) < 0 or self._connection._reactor.loop is None:
            return await self._copied(wanted, body)
        try:
            return await _loops.here().within(timeout, self._copied(wanted, body))
        except asyncio.TimeoutError as error:
            if error is self._failure or isinstance(error, errors.QueryTimeout):
                raise
            late = errors.QueryTimeout(f"timeout expired: the COPY took more than {timeout} seconds")
            late.sqlstate, late.message = "57014", str(late)
            raise late from None

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
        except BaseException as error:
            self._failure = error
            self._give_up(done.operation)
            raise
        finally:
            connection._release(token)

    def _start(self) -> Any:
        connection = self._connection
        encoded = connection._encoded(self._sql)
        connection._set_timeout(self._timeout)
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
            connection._reactor.unwanted(False)
            connection._line.send()


class CopyIn(_Copy):
    """Data from the program to the server."""

    async def run(self, source: Any) -> str:
        """Copies all of it; the command tag."""
        return await self._in_time(lib.CONN_COPY_IN, lambda: self._put_all(source))

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
                    await self._connection._sent()
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
        write = kept.append if target is None else getattr(target, "write", target)
        if not callable(write):
            raise errors.InterfaceError(f"COPY gives to a file, which is open, or to a callable, not to {type(target).__name__}")
        tag = await self._in_time(lib.CONN_COPY_OUT, lambda: self._take_all(write))
        return tag if target is not None else b"".join(kept)

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
    records: Iterable[Sequence[Any]] | AsyncIterable[Sequence[Any]],
    columns: Sequence[str] | None,
    schema: str | None,
    timeout: float | None,
) -> str:
    """Rows of Python objects into a table, in binary where all its types can be."""
    into = f"{quoted(schema)}.{quoted(table)}" if schema else quoted(table)
    names = ", ".join(map(quoted, columns)) if columns is not None else "*"
    statement = await connection._describe(f"SELECT {names} FROM {into}", timeout)
    listed = ", ".join(quoted(name) for name, _, _ in statement.columns)
    codecs = connection._codecs
    binary = all(native.is_built_in(oid, codecs) for _, oid, _ in statement.columns)
    sql = f"COPY {into} ({listed}) FROM STDIN"
    if binary:
        sql, data = f"{sql} (FORMAT binary)", _encoded(records, partial(_binary, statement), _HEADER, b"\xff\xff")
    else:
        data = _encoded(records, partial(_text, connection, statement))
    async with aclosing(data):
        return await connection.copy_in(sql, data, timeout=timeout)


async def _encoded(
    records: Any, encode: Callable[[Iterable[Any]], Iterator[bytes]], before: bytes = b"", after: bytes = b""
) -> AsyncGenerator[bytes, None]:
    """Rows as data. Those that come one by one are encoded a run at a time."""
    yield before
    if isinstance(records, AsyncIterable):
        run: list[Any] = []
        async for record in records:
            run.append(record)
            if len(run) == RUN:
                for piece in encode(run):
                    yield piece
                run.clear()
        records = run
    elif not isinstance(records, Iterable):
        raise errors.InterfaceError(f"rows to copy are an iterable of sequences, async or not, not {type(records).__name__}")
    for piece in encode(records):
        yield piece
    yield after


_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)


def _binary(statement: Any, records: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    rows = iter(records)
    while True:
        piece = native.copy_rows(statement, rows, PIECE)
        yield piece
        if len(piece) < PIECE:
            return


def _text(connection: Connection, statement: Any, records: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    from ._codecs import text_codec, type_name

    encoders = [(text_codec(connection._codecs, oid)[0], oid) for _, oid, _ in statement.columns]
    for record in map(native.fields, records):
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
