"""What every test has: the server that the environment names, a connection, and the ways to drive it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from ways import WAYS, run_on, with_connection

collect_ignore = ["compliance"]  # SQLAlchemy's suite has a plugin of its own


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """By asyncio, by uvloop, by asyncio over a transport, or by trio."""
    return request.param


@pytest.fixture
def run(way: str) -> Callable[[Callable[[Any], Awaitable[Any]]], Any]:
    """`run(test)`: the test gets a connection of its own."""
    return lambda test: run_on(way, lambda: with_connection(way, test))


@pytest.fixture(params=["asyncio", "trio"])
def run_alone(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    """`run_alone(test)`: the test connects by itself."""
    return lambda test: run_on(request.param, test)


def pytest_configure(config: pytest.Config) -> None:
    if "PGHOST" not in os.environ:
        raise pytest.UsageError("PGHOST names the server to test on: `make test-python` starts one")
