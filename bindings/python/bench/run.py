"""Our figures beside asyncpg's, psycopg's and psqlpy's, in one run on one server: a Markdown table.

    bench/run.py [rounds]     the server is what PGHOST, PGPORT, PGUSER say

The drivers take turns within a round, so that a noisy machine is noisy for all. Each figure is the median of the rounds; each ratio the
median of the rounds' ratios.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import uvloop
from drivers import DRIVERS, FILL, ROWS, STORED, UNREAD, Pgpoll

POINTS, COUNT, INSERTS, COPIED = 8000, 100_000, 10_000, 100_000
TABLE = "create temp table if not exists bench (a int4, b text, c float8); truncate bench"

Measure = Callable[[Any], Awaitable[float]]


async def one_at_a_time(driver: Pgpoll) -> float:
    connection = await driver.open()
    return await timed(driver, [connection], POINTS, lambda: points(driver, connection, POINTS))


async def connections(driver: Pgpoll) -> float:
    opened = [await driver.open() for _ in range(20)]
    count = POINTS // 10
    return await timed(driver, opened, count * 20, lambda: asyncio.gather(*(points(driver, each, count) for each in opened)))


async def tasks(driver: Pgpoll) -> float:
    if not driver.shares_line:
        return await connections(driver)
    connection = await driver.open()
    count = POINTS // 4
    return await timed(
        driver,
        [connection],
        count * 20,
        lambda: asyncio.gather(*(points(driver, connection, count) for _ in range(20))),
    )


async def rows(driver: Pgpoll) -> float:
    connection = await driver.open()
    return await timed(driver, [connection], COUNT, lambda: driver.rows(connection, ROWS, COUNT))


async def rows_by_cpu(driver: Pgpoll) -> float:
    connection = await driver.open()
    return await timed(driver, [connection], COUNT, lambda: driver.rows(connection, ROWS, COUNT), time.process_time)


async def stored(driver: Pgpoll) -> float:
    connection = await driver.open()
    await driver.run(connection, FILL)
    await driver.rows(connection, STORED, 1000)
    return await timed(driver, [connection], COUNT, lambda: driver.rows(connection, STORED, COUNT))


async def inserts(driver: Pgpoll) -> float:
    connection = await driver.open()
    await driver.run(connection, TABLE)
    data = [(number, f"row {number}", number * 0.5) for number in range(INSERTS)]
    return await timed(driver, [connection], INSERTS, lambda: driver.insert(connection, data))


async def copies(driver: Pgpoll) -> float:
    connection = await driver.open()
    await driver.run(connection, TABLE)
    data = [(number, f"row {number}", number * 0.5) for number in range(COPIED)]
    return await timed(driver, [connection], COPIED, lambda: driver.copy(connection, data))


async def points(driver: Pgpoll, connection: Any, count: int) -> None:
    for number in range(count):
        await driver.point(connection, number)


async def timed(
    driver: Pgpoll, opened: list[Any], count: int, work: Callable[[], Awaitable[Any]], clock: Callable[[], float] = time.perf_counter
) -> float:
    """How many a second."""
    try:
        for connection in opened:
            await driver.point(connection, 1)
        gc.collect()
        start = clock()
        await work()
        return count / (clock() - start)
    finally:
        for connection in opened:
            await driver.close(connection)


class Work(NamedTuple):
    title: str
    measure: Measure
    aim: float | None = None
    uvloop: bool = False
    drivers: Sequence[Pgpoll] = DRIVERS


WORKS = [
    Work("point queries, one at a time, asyncio", one_at_a_time, 1.3),
    Work("the same, uvloop", one_at_a_time, uvloop=True),
    Work("point queries, 20 connections, asyncio", connections, 1.5),
    Work("the same, uvloop", connections, 1.15, uvloop=True),
    Work("point queries, 20 tasks on one connection, asyncio (the others' on 20)", tasks, 4.0),
    Work("100,000 rows of five columns", rows, 2.0, drivers=[*DRIVERS, UNREAD]),
    Work("the same, a second of the client's CPU time", rows_by_cpu),
    Work("the same rows from a table", stored, drivers=[*DRIVERS, UNREAD]),
    Work("executemany, 10,000 inserts", inserts),
    Work("COPY in, 100,000 records", copies, drivers=[driver for driver in DRIVERS if driver.copy]),
]


def measure(work: Work, driver: Pgpoll) -> float:
    loop = uvloop.new_event_loop() if work.uvloop else asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work.measure(driver))
    finally:
        loop.close()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    names = [driver.name for driver in [*DRIVERS, UNREAD]]
    print(f"| a second | {' | '.join(names)} | pgpoll : asyncpg | aim |")
    print("|---|" + "---:|" * (len(names) + 1) + "---|")
    for work in WORKS:
        found: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(rounds):
            for driver in work.drivers:
                found[driver.name].append(measure(work, driver))
        ratio = beside(found, "pgpoll", "asyncpg")
        note = "" if work.aim is None else f"≥ {work.aim}" + ("" if ratio >= work.aim else ", **missed**")
        if found[UNREAD.name]:
            note += f" (unread {beside(found, UNREAD.name, 'asyncpg'):.2f})"
        cells = [f"{statistics.median(found[name]):,.0f}" if found[name] else "" for name in names]
        print(f"| {work.title} | {' | '.join(cells)} | {ratio:.2f} | {note} |", flush=True)
    print(
        "\n'unread' is a program that receives the rows and drops them unread: how many the server gives, so that no driver can have many"
        "\nmore, and what that is to asyncpg's is about the most that a driver's ratio can be."
    )


def beside(found: dict[str, list[float]], one: str, other: str) -> float:
    return statistics.median(mine / its for mine, its in zip(found[one], found[other], strict=True))


if __name__ == "__main__":
    main()
