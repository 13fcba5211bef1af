"""What the package asks of an event loop, of trio: the part of asyncio's loop that reactors use, made of system tasks."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import trio
from trio.lowlevel import Abort, current_task, reschedule, spawn_system_task, wait_readable, wait_task_rescheduled, wait_writable


class Timer:
    """A callback that is due at a time."""

    def __init__(self, when: float, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.when, self.callback, self.args = when, callback, args

    def cancel(self) -> None:
        self.callback, self.args = _nothing, ()

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when


def _nothing() -> None: ...


def _call(callback: Callable[..., object], args: tuple[Any, ...] = ()) -> None:
    """An exception is nobody's here: one that left a system task would end the whole program."""
    try:
        callback(*args)
    except Exception:
        logging.getLogger("pgpoll").exception("a callback has failed: %r", callback)


class Loop:
    """The connections of one run of trio's: callbacks soon, later, and when a descriptor is ready."""

    def __init__(self) -> None:
        self._soon: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._timers: list[Timer] = []
        self._asleep: trio.lowlevel.Task | None = None
        self._sleep = trio.CancelScope()
        self._watches: dict[tuple[Any, int], trio.CancelScope] = {}
        self._closed = False
        spawn_system_task(self._serve, name="pgpoll")

    def is_closed(self) -> bool:
        return self._closed

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        self._soon.append((callback, args))
        if self._asleep is not None and not self._closed:
            asleep, self._asleep = self._asleep, None
            reschedule(asleep)

    def call_later(self, seconds: float, callback: Callable[..., object], *args: Any) -> Timer:
        timer = Timer(trio.current_time() + seconds, callback, args)
        heapq.heappush(self._timers, timer)
        if self._timers[0] is timer:
            self._sleep.deadline = timer.when
        return timer

    async def _serve(self) -> None:
        try:
            while True:
                await self._wait()
                for _ in range(len(self._soon)):
                    _call(*self._soon.popleft())
                while self._timers and self._timers[0].when <= trio.current_time():
                    timer = heapq.heappop(self._timers)
                    _call(timer.callback, timer.args)
        finally:
            self._closed = True

    async def _wait(self) -> None:
        """A turn of the others', at least."""
        if self._soon:
            return await trio.lowlevel.checkpoint()
        with trio.CancelScope(deadline=self._timers[0].when if self._timers else math.inf) as self._sleep:
            self._asleep = current_task()
            await wait_task_rescheduled(self._woken)

    def _woken(self, raise_cancel: Any) -> Abort:
        self._asleep = None
        return Abort.SUCCEEDED

    def add_reader(self, descriptor: int, callback: Callable[[], object]) -> None:
        self._watch(wait_readable, descriptor, callback)

    def add_writer(self, descriptor: int, callback: Callable[[], object]) -> None:
        self._watch(wait_writable, descriptor, callback)

    def remove_reader(self, descriptor: int) -> None:
        self._watches.pop((wait_readable, descriptor)).cancel()

    def remove_writer(self, descriptor: int) -> None:
        self._watches.pop((wait_writable, descriptor)).cancel()

    def _watch(self, ready: Callable[[int], Awaitable[None]], descriptor: int, callback: Callable[[], object]) -> None:
        scope = self._watches[ready, descriptor] = trio.CancelScope()
        spawn_system_task(self._watching, scope, ready, descriptor, callback, name="pgpoll")

    async def _watching(
        self, scope: trio.CancelScope, ready: Callable[[int], Awaitable[None]], descriptor: int, callback: Callable[[], object]
    ) -> None:
        with scope:
            while not scope.cancel_called:  # then the descriptor may be closed, or another one
                await ready(descriptor)
                if not scope.cancel_called:
                    _call(callback)


_LOOP: trio.lowlevel.RunVar[Loop | None] = trio.lowlevel.RunVar("pgpoll", default=None)


def running() -> Loop | None:
    """The loop of this run; None where there is none."""
    try:
        return _LOOP.get()
    except RuntimeError:
        return None


def loop() -> Loop:
    """The same, made where it is missing."""
    found = _LOOP.get()
    if found is None:
        found = Loop()
        _LOOP.set(found)
    return found


def park(waiter: Any) -> Generator[Any, Any, Any]:
    """Awaits a waiter. A task that is cancelled gives up what it awaits."""
    if not waiter.done():
        task = current_task()

        def wake(_: Any) -> None:
            reschedule(task)

        def give_up(raise_cancel: Any) -> Abort:
            if waiter.done():  # and about to wake the task
                return Abort.FAILED
            waiter.remove_done_callback(wake)
            waiter.cancel()
            return Abort.SUCCEEDED

        waiter.add_done_callback(wake)
        yield from wait_task_rescheduled(give_up).__await__()
    return waiter.result()


class Future:
    """What one task awaits and another sets; `start` gives one, too, which its task sets."""

    def __init__(self) -> None:
        self._over = trio.Event()
        self._value: Any = None
        self._error: BaseException | None = None
        self._scope = trio.CancelScope()

    def done(self) -> bool:
        return self._over.is_set()

    def cancelled(self) -> bool:
        return isinstance(self._error, asyncio.CancelledError)

    def cancel(self) -> None:
        """Ends its task."""
        self._scope.cancel()

    def set_result(self, value: Any) -> None:
        self._value = value
        self._over.set()

    def result(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value

    def exception(self) -> BaseException | None:
        return self._error

    async def run(self, work: Coroutine[Any, Any, Any]) -> None:
        """Does its task's work. It is cancelled where its scope is, or the whole run."""
        with self._scope:
            try:
                self._value = await work
            except trio.Cancelled:
                self._error = asyncio.CancelledError()
                raise
            except BaseException as error:
                self._error = error
            finally:
                self._over.set()

    async def wait(self) -> None:
        await self._over.wait()

    def __await__(self) -> Generator[Any, Any, Any]:
        yield from self._over.wait().__await__()
        return self.result()


future = Future


def start(work: Coroutine[Any, Any, Any]) -> Future:
    """A task of its own."""
    made = Future()
    spawn_system_task(made.run, work, name="pgpoll", context=contextvars.copy_context())
    return made


async def outcomes(tasks: list[Future]) -> list[Any]:
    """What became of tasks: values and exceptions. Who is cancelled meanwhile cancels them."""
    try:
        for task in tasks:
            await task.wait()
    except trio.Cancelled:
        for task in tasks:
            task.cancel()
        raise
    return [task.exception() or task.result() for task in tasks]


async def within(seconds: float, work: Coroutine[Any, Any, Any]) -> Any:
    """Its value; a `TimeoutError` if it takes longer."""
    with trio.move_on_after(max(0.0, seconds)):
        return await work
    raise asyncio.TimeoutError
