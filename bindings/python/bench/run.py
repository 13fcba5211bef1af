"""Our figures beside asyncpg's, psycopg's and psqlpy's, in one run on one server: a Markdown table.

    bench/run.py [rounds]     the server is what PGHOST, PGPORT, PGUSER say

Each figure is the best of its rounds; the drivers take turns within a round, so that a noisy machine is noisy for all.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from drivers import DRIVERS, FILL, ROWS, STORED, Pgpoll

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


async def server_is_busy(driver: Pgpoll) -> float:
    """The share of the time in which the server's process runs while a driver fetches the rows, by Linux's clock of 10 ms."""
    connection = await driver.open()
    await driver.rows(connection, ROWS, COUNT)
    pid = await driver.backend(connection)
    before, start = processor_time(pid), time.perf_counter()
    for _ in range(10):
        await driver.rows(connection, ROWS, COUNT)
    busy = (processor_time(pid) - before) / (time.perf_counter() - start)
    await driver.close(connection)
    return busy


def processor_time(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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


WORKS: list[tuple[str, Measure, bool, float | None]] = [
    ("point queries, one at a time, asyncio", one_at_a_time, False, 1.3),
    ("the same, uvloop", one_at_a_time, True, None),
    ("point queries, 20 connections, asyncio", connections, False, 1.5),
    ("the same, uvloop", connections, True, 1.15),
    ("point queries, 20 tasks on one connection, asyncio", tasks, False, 4.0),
    ("100,000 rows of five columns", rows, False, 2.0),
    ("the same, a second of the client's CPU time", rows_by_cpu, False, None),
    ("the same rows from a table", stored, False, None),
    ("executemany, 10,000 inserts", inserts, False, None),
    ("COPY in, 100,000 records", copies, False, None),
]


def measure(work: Measure, fast_loop: bool, driver: Pgpoll) -> float:
    loop = uvloop.new_event_loop() if fast_loop else asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work(driver))
    finally:
        loop.close()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    names = [driver.name for driver in DRIVERS]
    print(f"| a second | {' | '.join(names)} | pgpoll : asyncpg | aim |")
    print("|---|" + "---:|" * (len(names) + 1) + "---|")
    found: dict[str, dict[str, float]] = {}
    for number, (title, work, fast_loop, aim) in enumerate(WORKS):
        best: dict[str, float] = {}
        for _ in range(rounds):
            for driver in DRIVERS:
                skipped = (work is tasks and not driver.shares_line) or (work is copies and driver.copy is None)
                if not skipped:
                    best[driver.name] = max(best.get(driver.name, 0.0), measure(work, fast_loop, driver))
        found[str(number)] = best
        beside = found["2"]["asyncpg"] if work is tasks else best["asyncpg"]
        ratio = best["pgpoll"] / beside
        note = "" if aim is None else f"≥ {aim}" + ("" if ratio >= aim else ", **missed**")
        cells = [f"{best[name]:,.0f}" if name in best else "" for name in names]
        print(f"| {title} | {' | '.join(cells)} | {ratio:.2f} | {note} |", flush=True)
    print("\nThe ratio of 20 tasks on one connection is to asyncpg's 20 connections, since asyncpg's tasks cannot share one.")
    if os.path.exists("/proc/self/stat"):
        busy = {driver.name: max(measure(server_is_busy, False, driver) for _ in range(rounds)) for driver in DRIVERS[:2]}
        shares = ", ".join(f"{share:.0%} with {name}" for name, share in busy.items())
        print(f"While the 100,000 rows are fetched the server's process runs {shares} of the time (the most of the rounds).")


if __name__ == "__main__":
    main()
