"""Notifications as an async iterator."""

from __future__ import annotations

from collections import deque
from copy import copy
from typing import TYPE_CHECKING, Any

from . import errors
from .types import Notification

if TYPE_CHECKING:
    from .connection import Connection


class Listener:
    """Gives each notification of its channels, in the order of their transactions; raises `ConnectionLost` when the connection is."""

    def __init__(self, connection: Connection, channels: tuple[str, ...]) -> None:
        if not channels:
            raise errors.InterfaceError("listen takes one channel at least")
        if not all(isinstance(channel, str) for channel in channels):
            raise errors.InterfaceError("a channel is a str")
        self._connection, self._channels = connection, channels
        self._queue: deque[Notification] = deque()
        self._waiter: Any = None
        self._error: errors.Error | None = None
        self._listening = False

    async def start(self) -> None:
        """LISTENs. What is committed after it is notified."""
        from ._copy import quoted

        if self._listening:
            return
        self._listening = True
        table = self._connection._listeners
        for channel in self._channels:
            table.setdefault(channel, []).append(self)
        try:
            await self._connection.execute(";".join(f"LISTEN {quoted(channel)}" for channel in self._channels))
        except BaseException:
            if unused := self._leave():  # the server may have done it all the same
                self._connection._send_outside(self._unlisten(unused))
            raise

    async def stop(self) -> None:
        """Ends it, and UNLISTENs what nobody else listens to."""
        unused = self._leave()
        if unused and not self._connection.is_closed():
            await self._connection._surely(self._unlisten(unused))

    @staticmethod
    def _unlisten(channels: list[str]) -> str:
        from ._copy import quoted

        return ";".join(f"UNLISTEN {quoted(channel)}" for channel in channels)

    def _leave(self) -> list[str]:
        if not self._listening:
            return []
        self._listening = False
        table, unused = self._connection._listeners, []
        for channel in self._channels:
            table[channel].remove(self)
            if not table[channel]:
                del table[channel]
                unused.append(channel)
        self._wake()
        return unused

    def told(self, notification: Notification) -> None:
        """There is one."""
        self._queue.append(notification)
        self._wake()

    def reset(self) -> None:
        """The session has forgotten what it listened to."""
        self._leave()
        self.lost(errors.InterfaceError("the session was reset, or given back to its pool: nothing is listened to any more"))

    def lost(self, error: errors.Error) -> None:
        """There will be none any more."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None:
            self._waiter.set_result(None)

    def __aiter__(self) -> Listener:
        return self

    async def __anext__(self) -> Notification:
        if not self._listening and self._error is None and not self._queue:
            await self.start()
        while not self._queue:
            if self._error is not None:
                raise copy(self._error)
            if not self._listening:
                raise StopAsyncIteration
            self._waiter = self._connection._line.future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._queue.popleft()

    async def __aenter__(self) -> Listener:
        await self.start()
        return self

    async def __aexit__(self, *unused: object) -> None:
        await self.stop()
