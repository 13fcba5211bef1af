"""What a connection is beneath its API: the line, who drives it, whose turn it is, and what the line tells."""

from __future__ import annotations

import itertools
import math
from bisect import insort
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from typing import Any

from . import _codecs, _failure, errors
from ._bridge import HOLDERS, NOTHING, TAG, Line, ffi, lib, text
from ._reactor import Reactor
from .types import Notification

Reacts = Callable[["Core"], Reactor]


def milliseconds(seconds: float) -> int:
    """One at least; -1, which is no limit, for more than a program can wait."""
    if isinstance(seconds, bool) or not hasattr(seconds, "__float__"):
        raise errors.InterfaceError(f"a timeout is a number of seconds, not {type(seconds).__name__}")
    if not seconds < 1e12:
        return -1
    return max(1, math.ceil(seconds * 1000))


class Core:
    """The part of a connection that the C side calls: methods that begin with an underscore and a verb are told things by it."""

    def __init__(self, conn: Any, reacts: Reacts, *, stream: bool, cache_size: int, timeout: float | None) -> None:
        self._conn = conn
        self._codecs: _codecs.Codecs = _codecs.SHARED
        self._reactor = reacts(self)
        self._line = Line(int(ffi.cast("uintptr_t", conn)), self, self._reactor.on, self._reactor.loop, self._codecs, stream)
        self._execute = self._line.run
        if timeout is not None:
            self._line.default_timeout_ms = milliseconds(timeout)
        self._cache_size = cache_size
        self._names = 0
        self._preparing: dict[str, list[Any]] = {}
        self._renewed: dict[str, int] = {}
        self._unclosed: deque[bytes] = deque()
        self._turns: list[tuple[int, Any]] = []
        self._tickets = itertools.count()
        self._called = 0
        self._held: object | None = None
        self._nobody = object()
        self._blocks = 0
        self._owed: deque[bytes] = deque()
        self._outside: list[bytes] = []
        self._roomless: list[Any] = []
        self._up: Any = None
        self._copy: Any = None
        self._cursor: Callable[[], Any] = lambda: None
        self._lost: errors.Error | None = None
        self._notice_callbacks: list[Callable[[errors.PostgresError], object]] = []
        self._listeners: dict[str, list[Any]] = {}

    # What the C side tells.

    def _event(self, bits: int, descriptor: int, generation: int, deadline: int) -> None:
        self._reactor.event(bits, descriptor, generation, deadline)
        if bits & lib.CONN_NOTIFY:
            self._take_notifications()
        if bits & lib.CONN_NOTICE:
            self._take_notices()
        if bits & lib.CONN_ROOM:
            self._send_owed()
            roomless, self._roomless = self._roomless, []
            for waiter in roomless:
                waiter.set_result(None)
        if bits & lib.CONN_COPY and self._copy is not None:
            self._copy.news()
        if bits & lib.CONN_IDLE and self._up is not None:
            self._line.idle_wanted = False
            self._up.set_result(None)
        if bits & lib.CONN_FAILED and self._lost is None:
            self._over(_failure.exception(lib.conn_error(self._conn)))

    def _over(self, error: errors.Error) -> None:
        self._lost = error
        self._reactor.stop()
        self._line.fail(error)
        waiting = [*self._roomless, *(waiter for _, waiter in self._turns), *([self._up] if self._up is not None else [])]
        self._called += len(self._turns)
        self._roomless.clear()
        self._turns.clear()
        self._owed.clear()
        self._outside.clear()
        for waiter in waiting:
            waiter.set_exception(error)
        if self._copy is not None:
            self._copy.news()
        for listener in {id(each): each for found in self._listeners.values() for each in found}.values():
            listener.lost(error)

    def _error(self, address: int) -> errors.Error:
        return _failure.taken(address)

    def _unwanted(self) -> None:
        self._reactor.unwanted(self._line.wanted)

    def _unfinished(self, outcome: int, verdict: int) -> errors.Error:
        if verdict == lib.CONN_VERDICT_LOST:
            error = _failure.exception(lib.conn_error(self._conn))
            return error if isinstance(error, errors.PostgresError) else errors.ConnectionLost("the connection was lost")
        if outcome == lib.CONN_OUTCOME_DISCARDED:
            return errors.InterfaceError("the operation was given up: the server has done it, and what it gave is gone")
        return errors.InterfaceError("the operation was given up before the server had done it")

    def _refused(self) -> errors.Error:
        error = copy(self._lost) if self._lost else _failure.exception(lib.conn_error(self._conn))
        cursor = self._cursor()
        if cursor is not None and cursor.is_open and self._lost is None and isinstance(error, errors.InterfaceError):
            return errors.InterfaceError(
                "a cursor is open, and nothing else runs meanwhile: end it, use another connection, or fetch from a cursor of SQL's DECLARE"
            )
        if isinstance(error, errors.InterfaceError) and lib.conn_status(self._conn) == lib.CONN_STATUS_OVER:
            lib.conn_poll(self._conn)  # forgets what was refused: the error is why the connection is over
            return _failure.exception(lib.conn_error(self._conn))
        return error

    def _copying(self, operation: int, way: int, form: int) -> None:
        if self._copy is not None:
            self._copy.begun(way, form)

    def _copy_over(self) -> None:
        """The server has ended the COPY."""
        ended, self._copy = self._copy, None
        if ended is not None:
            ended.over()

    def _take_notices(self) -> None:
        while (notice := lib.conn_get_notice(self._conn)) != ffi.NULL:
            told = _failure.taken(int(ffi.cast("uintptr_t", notice)))
            for callback in list(self._notice_callbacks):
                self._call(callback, told)

    def _take_notifications(self) -> None:
        while (taken := lib.conn_get_notification(self._conn)) != ffi.NULL:
            channel, payload = (
                text(lib.conn_notification_channel(taken)) or "",
                text(lib.conn_notification_payload(taken)) or "",
            )
            notification = Notification(channel, payload, lib.conn_notification_pid(taken))
            lib.conn_notification_free(taken)
            for listener in list(self._listeners.get(channel, ())):
                listener.told(notification)

    def _call(self, callback: Callable[..., object], *args: object) -> None:
        """A callback of the program's: its exceptions are its own."""
        if self._reactor.loop is not None:
            self._line.told = True
            self._reactor.loop.call_soon(callback, *args)
        else:
            callback(*args)

    # Whose turn it is.

    async def _turn(self, alone: bool = False) -> None:
        """Waits until this task may use the connection. Who wants it for itself is behind those who were called and have not gone on yet:
        else it would have it again and again, and they never."""
        self._line.check()
        if self._owed:
            self._send_owed()
        ticket = next(self._tickets)
        behind = alone and self._called > 0 and self._held is None and self._reactor.loop is not None
        while behind or not self._line.is_mine():
            behind = False
            if self._lost is not None:
                raise copy(self._lost)  # raised as often as somebody tries, it would grow
            if self._reactor.loop is None and not self._blocks and not self._owed:
                raise errors.InterfaceError("another thread has the connection for itself: a connection is for one at a time")
            place = (ticket, waiter := self._line.future())
            insort(self._turns, place)
            try:
                await waiter
            finally:
                if place in self._turns:
                    self._turns.remove(place)
                else:
                    self._called -= 1
                    if not self._called and self._line.holder is None:
                        self._wake_turns()

    async def _hold(self) -> object | None:
        """Has the connection for this task, and those that it starts: a token to release it with; None for who has it already."""
        await self._turn(alone=True)
        if self._held is not None:
            return None
        token = self._held = object()
        self._decide_turn()
        HOLDERS.set((*HOLDERS.get(), token))
        return token

    def _let_go(self) -> None:
        """Nobody has the connection for itself any more."""
        self._held = None
        self._owed.extend(self._outside)
        self._outside.clear()
        self._send_owed()

    def _close_cursor(self) -> None:
        """The program may not have ended it: it ends with its transaction, and with the lease of its connection."""
        if (cursor := self._cursor()) is not None:
            cursor.cut()

    def _decide_turn(self) -> None:
        self._line.holder = self._nobody if self._blocks or self._owed else self._held

    def _block(self) -> Callable[[], None]:
        """Nobody may start anything until what this returns is called."""
        self._blocks += 1
        self._decide_turn()

        def unblock() -> None:
            self._blocks -= 1
            self._send_owed()

        return unblock

    def _release(self, token: object | None) -> None:
        if token is None:
            return
        HOLDERS.set(tuple(held for held in HOLDERS.get() if held is not token))
        if self._held is token:
            self._let_go()

    def _wake_turns(self) -> None:
        turns, self._turns = self._turns, []
        self._called += len(turns)
        for _, waiter in turns:
            waiter.set_result(None)

    async def _sent(self) -> None:
        """Lets what was started go out, and others have a turn."""
        self._line.send()
        if (loop := self._reactor.loop) is not None:
            turn = self._line.future()
            loop.call_soon(turn.set_result, None)
            await turn

    async def _room(self) -> None:
        """Waits until the send queue has room."""
        waiter = self._line.future()
        self._roomless.append(waiter)
        self._line.send()
        await waiter

    # What is sent.

    def _set_timeout(self, timeout: float | None) -> None:
        self._line.set_timeout(self._line.default_timeout_ms if timeout is None else milliseconds(timeout))

    def _simple(self, sql: str, mode: int, timeout: float | None = None) -> Any:
        """A waiter for a simple query, or None where the send queue is full."""
        self._line.check()
        self._set_timeout(timeout)
        return self._started(lib.conn_start_query(self._conn, self._encoded(sql)), mode)

    def _encoded(self, sql: str) -> bytes:
        if not isinstance(sql, str):
            raise errors.InterfaceError(f"a statement is a str, not {type(sql).__name__}")
        if "\0" in sql:
            raise errors.InterfaceError("a statement cannot have a character 0")
        try:
            return sql.encode()
        except UnicodeEncodeError as error:
            raise errors.InterfaceError(f"a statement is UTF-8: {error}") from error

    def _started(self, operation: int, mode: int, statement: Any = None) -> Any:
        """A waiter for what was started through cffi; None where the send queue is full."""
        if not operation:
            error = lib.conn_error(self._conn)
            if lib.conn_error_kind(error) == lib.CONN_ERROR_WOULD_BLOCK:
                return None
            raise self._refused()
        return self._line.expect(mode, operation, statement)

    def _send(self, sql: str) -> None:
        """A simple query whose outcome nobody awaits: now, or as soon as something can be started, before anything else is."""
        if self._lost is None and self._conn != ffi.NULL:
            self._owed.append(self._encoded(sql))
            self._send_owed()

    def _send_outside(self, sql: str) -> None:
        """The same, but not while another task has the connection for itself: its transaction is none of its business."""
        self._outside.append(self._encoded(sql))
        if self._held is None:
            self._let_go()

    def _send_owed(self) -> None:
        with suppress(errors.InterfaceError):
            while self._owed and not self._blocks:
                self._set_timeout(None)
                operation = lib.conn_start_query(self._conn, self._owed[0])
                if not operation:
                    break  # no room
                self._owed.popleft()
                self._line.expect(NOTHING, operation)
        self._decide_turn()
        self._wake_turns()

    async def _surely(self, sql: str) -> None:
        """A simple query that is done also where the task that awaits it is cancelled."""
        started = None
        try:
            while started is None:
                await self._turn()
                if (started := self._simple(sql, TAG)) is None:
                    await self._room()
            done = self._line.future()
            started.add_done_callback(done.set_result)
            await done
        except BaseException:
            if started is None:
                self._send(sql)
            raise
        started.result()

    # The end.

    def _shut(self, error: errors.Error) -> None:
        if self._conn == ffi.NULL:
            return
        if self._lost is None:
            self._over(error)
        self._conn = ffi.NULL
        self._line.close()
