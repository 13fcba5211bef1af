"""Transactions and savepoints. A transaction has its connection for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import errors

if TYPE_CHECKING:
    from .connection import Connection

_LEVELS = ("serializable", "repeatable read", "read committed", "read uncommitted")


class Transaction:
    """`async with connection.transaction():`, or `start`, then `commit` or `rollback`."""

    def __init__(self, connection: Connection, isolation: str | None, readonly: bool, deferrable: bool) -> None:
        if isolation is not None and isolation.replace("_", " ").lower() not in _LEVELS:
            raise errors.InterfaceError(f"isolation is one of {', '.join(_LEVELS)}, not {isolation!r}")
        level = f" ISOLATION LEVEL {isolation.replace('_', ' ').upper()}" if isolation else ""
        self._modes = f"{level}{' READ ONLY' if readonly else ''}{' DEFERRABLE' if deferrable else ''}"
        self._connection = connection
        self._token: object | None = None  # of who has the connection by this transaction
        self._lease: object | None = None  # of who has it, be it by one around this
        self._savepoint: str | None = None
        self._state = "new"

    async def start(self) -> None:
        """Begins it, when the connection is free for it."""
        if self._state != "new":
            raise errors.InterfaceError("a transaction starts once: make another one")
        connection = self._connection
        token = await connection._hold()
        self._lease = connection._held
        try:
            if connection.is_in_transaction() and connection._line.busy:
                await connection.execute("")  # the end of another transaction may be under way
            if connection.is_in_transaction():
                connection._names += 1
                self._savepoint = f"pgpoll_{connection._names}"
                modes = f"; SET TRANSACTION{self._modes}" if self._modes else ""  # the server knows what a savepoint can have
                await connection.execute(f"SAVEPOINT {self._savepoint}{modes}")
            else:
                await connection.execute(f"BEGIN{self._modes}")
        except BaseException:
            if self._is_given_back():
                pass
            elif self._savepoint is None:
                connection._send("ROLLBACK")
            elif self._modes:
                connection._send(f"ROLLBACK TO SAVEPOINT {self._savepoint}; RELEASE SAVEPOINT {self._savepoint}")
            connection._release(token)
            raise
        self._token = token
        self._state = "started"

    async def commit(self) -> None:
        """Makes it last."""
        self._end()
        connection = self._connection
        try:
            tag = await connection.execute("COMMIT" if self._savepoint is None else f"RELEASE SAVEPOINT {self._savepoint}")
        except BaseException:
            if self._savepoint is None and not self._is_given_back():
                connection._send("ROLLBACK")
            raise
        finally:
            connection._release(self._token)
        if tag == "ROLLBACK":
            raise errors.of_sqlstate("25P02", "")("the transaction had failed: it was rolled back")

    async def rollback(self) -> None:
        """Undoes it, also where the task is cancelled."""
        self._end()
        to = self._savepoint
        try:
            await self._connection._surely("ROLLBACK" if to is None else f"ROLLBACK TO SAVEPOINT {to}; RELEASE SAVEPOINT {to}")
        finally:
            self._connection._release(self._token)

    def _end(self) -> None:
        if self._state != "started":
            raise errors.InterfaceError(f"the transaction is {self._state}: it cannot be ended")
        self._state = "ended"
        if self._is_given_back():
            raise errors.InterfaceError("it ended with the one around it, or was rolled back when its connection was given back to a pool")
        self._connection._close_cursor()

    def _is_given_back(self) -> bool:
        """The pool has rolled back what was left open, or the one around it has ended: the connection is another task's now."""
        return self._connection._held is not self._lease

    async def __aenter__(self) -> Transaction:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._state != "started":
            return
        if kind is None:
            await self.commit()
        elif self._connection.is_closed() or self._is_given_back():
            self._state = "ended"
            self._connection._release(self._token)
        else:
            try:
                await self.rollback()
            except errors.PostgresError:
                if not self._connection._is_over():  # else it is undone already, and why is in the exception that goes on
                    raise


__all__ = ["Transaction"]
