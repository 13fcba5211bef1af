"""Ways to run a test: asyncio, uvloop, asyncio over a transport, trio. What tests ask of a loop, under asyncio's names."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

import pgpoll

WAYS = ["asyncio", "uvloop", "transport", "trio"]
PATIENCE = 60
PYPY = sys.implementation.name == "pypy"
NURSERY: trio.lowlevel.RunVar[trio.Nursery] = trio.lowlevel.RunVar("nursery")


class Task:
    """A task of trio's with the methods of asyncio's."""

    def __init__(self, work: Awaitable[Any]) -> None:
        self._work, self._scope, self._over = work, trio.CancelScope(), trio.Event()
        self._value: Any = None
        self._message = ""
        self._error: BaseException | None = None
        NURSERY.get().start_soon(self._run)

    async def _run(self) -> None:
        try:
            with self._scope:
                try:
                    self._value = await self._work
                except trio.Cancelled:
                    self._error = asyncio.CancelledError(self._message)
                    raise
                except BaseException as error:
                    self._error = error
        finally:
            self._over.set()

    def cancel(self, message: str = "") -> None:
        self._message = message
        self._scope.cancel()

    def done(self) -> bool:
        return self._over.is_set()

    async def outcome(self) -> Any:
        await self._over.wait()
        return self._error if self._error is not None else self._value

    def __await__(self) -> Any:
        outcome = yield from self.outcome().__await__()
        if self._error is not None:
            raise self._error
        return outcome


def collect() -> None:
    """What nobody holds any more goes now. PyPy counts no references, and finalises what it has found a turn later."""
    for _ in range(4 if PYPY else 1):
        gc.collect()


def on_trio() -> bool:
    return trio.lowlevel.in_trio_task()


def start(work: Awaitable[Any]) -> Any:
    """`asyncio.ensure_future`."""
    return Task(work) if on_trio() else asyncio.ensure_future(work)


async def sleep(seconds: float) -> None:
    await (trio.sleep(seconds) if on_trio() else asyncio.sleep(seconds))


async def gather(*work: Awaitable[Any], return_exceptions: bool = False) -> list[Any]:
    if not on_trio():
        return await asyncio.gather(*work, return_exceptions=return_exceptions)
    tasks = [each if isinstance(each, Task) else Task(each) for each in work]
    done = [await task.outcome() for task in tasks]
    if not return_exceptions:
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
    return done


async def wait_for(work: Awaitable[Any], seconds: float) -> Any:
    if not on_trio():
        return await asyncio.wait_for(work, seconds)
    with trio.move_on_after(seconds):
        return await work
    raise asyncio.TimeoutError


async def _on_trio(work: Callable[[], Awaitable[Any]]) -> Any:
    async with trio.open_nursery() as nursery:
        NURSERY.set(nursery)
        task = Task(work())
    return await task


def run_on(way: str, work: Callable[[], Awaitable[Any]]) -> Any:
    """Runs a coroutine function on a loop of its own, not for ever."""

    async def bounded() -> Any:
        return await wait_for(work(), PATIENCE)

    if way == "trio":
        return trio.run(_on_trio, bounded)
    if way == "uvloop":
        uvloop = pytest.importorskip("uvloop", reason="there is no uvloop, as for PyPy")
        loop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    loop.slow_callback_duration = PATIENCE  # a busy machine is no news
    problems: list[Any] = []
    loop.set_exception_handler(lambda _, context: problems.append(context))
    try:
        answer = loop.run_until_complete(bounded())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    assert not problems, problems
    return answer


async def with_connection(way: str, test: Callable[[Any], Awaitable[Any]]) -> Any:
    """The test gets a connection of its own."""
    connection = await pgpoll.connect(transport=way == "transport")
    try:
        return await test(connection)
    finally:
        await connection.close()
