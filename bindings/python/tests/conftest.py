"""What every test has: the server that the environment names, a connection, and the ways to drive it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import pgpoll

collect_ignore = ["compliance"]  # SQLAlchemy's suite has a plugin of its own
WAYS = ["asyncio", "uvloop", "transport"]
PATIENCE = 60


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """By asyncio, by uvloop, or by asyncio over a transport."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return request.param


def run_on(way: str, work: Awaitable[Any]) -> Any:
    """Runs a coroutine on a loop of its own, not for ever."""

    async def bounded() -> Any:
        return await asyncio.wait_for(work, PATIENCE)

    if way == "uvloop":
        import uvloop

        loop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    problems: list[Any] = []
    loop.set_exception_handler(lambda _, context: problems.append(context))
    try:
        answer = loop.run_until_complete(bounded())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    assert not problems, problems
    return answer


@pytest.fixture
def run(way: str) -> Callable[[Callable[[Any], Awaitable[Any]]], Any]:
    """`run(test)`: the test gets a connection of its own."""

    def run_test(test: Callable[[Any], Awaitable[Any]]) -> Any:
        async def with_connection() -> Any:
            connection = await pgpoll.connect(transport=way == "transport")
            try:
                return await test(connection)
            finally:
                await connection.close()

        return run_on(way, with_connection())

    return run_test


def pytest_configure(config: pytest.Config) -> None:
    if "PGHOST" not in os.environ:
        raise pytest.UsageError("PGHOST names the server to test on: `make test-python` starts one")
