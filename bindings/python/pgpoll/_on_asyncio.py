"""What the package asks of an event loop, of asyncio or of those that are like it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

park = None
"""A waiter is a future of asyncio's to the task that awaits it."""

running = asyncio._get_running_loop
loop = asyncio.get_running_loop


def future() -> asyncio.Future[Any]:
    """What one task awaits and another sets."""
    return asyncio.get_running_loop().create_future()


def start(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task of its own."""
    return asyncio.get_running_loop().create_task(work)


async def outcomes(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    """What became of tasks: values and exceptions. Who is cancelled meanwhile cancels them."""
    return await asyncio.gather(*tasks, return_exceptions=True)


async def within(seconds: float, work: Coroutine[Any, Any, Any]) -> Any:
    """Its value; a `TimeoutError` if it takes longer."""
    return await asyncio.wait_for(work, seconds)
