"""Who says when a connection's bytes can be moved: an event loop by its descriptor, an event loop by a transport, or the program itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from . import errors
from ._bridge import NEVER, ffi, lib, text

if TYPE_CHECKING:
    from .connection import Connection


class Reactor:
    """Without an event loop: `Connection` is driven by `Line.wait`."""

    on: ModuleType | None = None
    loop: Any = None

    def __init__(self, owner: Connection) -> None:
        self.owner = owner

    def event(self, bits: int, descriptor: int, generation: int, deadline: int) -> None:
        """Something is other than it was: what to wait for, where, or how long."""

    def unwanted(self, others: bool) -> None:
        """An operation was given up; others under way were not, perhaps. Where the library can connect it stops it by itself."""

    def taken(self) -> None:
        """There is room again for what comes."""

    def stop(self) -> None:
        """Nothing is waited for any more."""


class Timed(Reactor):
    """Deadlines by the loop's timers: one timer, which is due at the earliest deadline."""

    def __init__(self, owner: Connection, on: ModuleType) -> None:
        super().__init__(owner)
        self.on, self.loop = on, on.loop()
        self._timer: Any = None
        self._due = NEVER

    def event(self, bits: int, descriptor: int, generation: int, deadline: int) -> None:
        if deadline < self._due:
            if self._timer:
                self._timer.cancel()
            self._due = deadline
            # A millisecond too late rather than too early: that would be one turn more.
            self._timer = self.loop.call_later(max(0.0, (deadline - time.monotonic_ns()) / 1e9) + 0.001, self._time)

    def _time(self) -> None:
        self._timer, self._due = None, NEVER
        self.owner._line.deadline = NEVER
        self.owner._line.ready()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None


class Readiness(Timed):
    """By `add_reader`, once for a descriptor's life, and by `add_writer` while output is queued."""

    def __init__(self, owner: Connection, on: ModuleType) -> None:
        super().__init__(owner, on)
        self._descriptor = -1
        self._generation = -1
        self._reading = self._writing = False

    def event(self, bits: int, descriptor: int, generation: int, deadline: int) -> None:
        super().event(bits, descriptor, generation, deadline)
        if generation != self._generation or descriptor != self._descriptor:
            self._leave()
            self._descriptor, self._generation = descriptor, generation
        if descriptor < 0:
            return
        ready = self.owner._line.ready
        # What waits to be taken is as good as wanting more; not so what the program leaves there (COPY).
        reading, writing = bool(bits & (lib.CONN_WANT_READ | lib.CONN_RESULT)), bool(bits & lib.CONN_WANT_WRITE)
        if reading != self._reading:
            self._reading = reading
            if reading:
                self.loop.add_reader(descriptor, ready)
            else:
                self.loop.remove_reader(descriptor)
        if writing != self._writing:
            self._writing = writing
            if writing:
                self.loop.add_writer(descriptor, ready)
            else:
                self.loop.remove_writer(descriptor)

    def _leave(self) -> None:
        if self._reading:
            self.loop.remove_reader(self._descriptor)
        if self._writing:
            self.loop.remove_writer(self._descriptor)
        self._reading = self._writing = False

    def stop(self) -> None:
        super().stop()
        if not self.loop.is_closed():
            self._leave()
        self._descriptor = -1


class Carried(Timed, asyncio.Protocol):
    """By an asyncio transport that carries the bytes, for loops without `add_reader`."""

    def __init__(self, owner: Connection, on: ModuleType) -> None:
        super().__init__(owner, on)
        self._transport: Any = None
        self._buffer = ffi.new("char[]", 65536)
        self._unfed = b""
        self._paused = False
        self._again: asyncio.TimerHandle | None = None
        self._cancelling: asyncio.Task[None] | None = None

    def event(self, bits: int, descriptor: int, generation: int, deadline: int) -> None:
        super().event(bits, descriptor, generation, deadline)
        if bits & lib.CONN_WANT_WRITE and self._transport is not None and not self._paused:
            self._carry()
        if bits & lib.CONN_FAILED and self._transport is not None:
            self._transport.close()

    def _carry(self) -> None:
        conn = self.owner._conn
        while size := lib.conn_take_output(conn, self._buffer, len(self._buffer)):
            self._transport.write(bytes(ffi.buffer(self._buffer, size)))
        # There may be more to take after a poll; this runs inside of one.
        self.loop.call_soon(self.owner._line.ready)

    def unwanted(self, others: bool) -> None:
        """The library cannot connect here: its request to cancel is carried, and nothing is started until the server has it."""
        owner = self.owner
        if self._cancelling or others or owner.is_closed() or not owner._line.busy:
            return
        cancel = lib.conn_cancel_open(owner._conn)
        if cancel != ffi.NULL:
            request = ffi.gc(cancel, lib.conn_cancel_close)
            self._cancelling = self.loop.create_task(self._cancel(request, owner._block()))

    async def _cancel(self, request: Any, unblock: Callable[[], None]) -> None:
        lib.conn_cancel_poll(request)  # its time counts from here on: what is dialled is part of it
        try:
            await asyncio.wait_for(self._carry_request(request), lib.conn_cancel_deadline_ms(request) / 1000)
        except (OSError, asyncio.TimeoutError):
            pass  # then it ends in its own time, or the library gives the connection up
        finally:
            self._cancelling = None
            unblock()

    async def _carry_request(self, request: Any) -> None:
        """Over a transport of its own, until the server has it or cannot be told."""
        host, port = self.place()
        reader, writer = await (asyncio.open_connection(host, int(port)) if port else asyncio.open_unix_connection(host))
        try:
            while not (bits := lib.conn_cancel_poll(request)) & (lib.CONN_IDLE | lib.CONN_FAILED):
                if bits & lib.CONN_WANT_WRITE:
                    size = lib.conn_cancel_take_output(request, self._buffer, len(self._buffer))
                    writer.write(bytes(ffi.buffer(self._buffer, size)))
                elif data := await reader.read(4096):
                    lib.conn_cancel_feed(request, data, len(data))
                else:
                    lib.conn_cancel_feed_eof(request)
        finally:
            writer.close()

    def place(self) -> tuple[str, str]:
        """The server's host, or the path of its socket, and its port."""
        host, port = self.owner.host, text(lib.conn_port(self.owner._conn)) or "5432"
        if host is None or host.startswith(("/", "@")):
            return f"{host or '/var/run/postgresql'}/.s.PGSQL.{port}", ""
        return host, port

    async def dial(self) -> None:
        """Makes the transport."""
        host, port = self.place()
        try:
            if port:
                await self.loop.create_connection(lambda: self, host, int(port))
            else:
                await self.loop.create_unix_connection(lambda: self, host)
        except OSError as error:
            raise errors.ConnectionLost(f"connecting to {host} failed: {error}") from error

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.owner._line.ready()
        self._carry()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._carry()

    def taken(self) -> None:
        if self._unfed:
            self._feed()

    def data_received(self, data: bytes) -> None:
        self._unfed += data
        self._feed()

    def _feed(self) -> None:
        if self.owner._conn == ffi.NULL:
            return
        while self._unfed:
            taken = lib.conn_feed(self.owner._conn, self._unfed, len(self._unfed))
            self._unfed = self._unfed[taken:]
            self.owner._line.ready()
            if self.owner._conn == ffi.NULL:
                return
            if not taken:  # something is not taken yet: a COPY's data, say
                if self._transport.is_reading():
                    self._transport.pause_reading()
                if self._again is None:
                    self._again = self.loop.call_later(0.005, self._feed_again)
                return
        if not self._transport.is_closing() and not self._transport.is_reading():
            self._transport.resume_reading()

    def _feed_again(self) -> None:
        self._again = None
        self._feed()

    def connection_lost(self, error: Exception | None) -> None:
        if self.owner._conn != ffi.NULL:
            lib.conn_feed_eof(self.owner._conn)
            self.owner._line.ready()

    def stop(self) -> None:
        super().stop()
        if self._transport is not None:
            self._transport.close()
