"""Over a transport, with TLS and without: what is given up is stopped in the server, and the connection goes on."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import pytest
from servers import SecureServer
from test_cancel import busy
from ways import run_on, start

import pgpoll
from pgpoll import errors


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory() as folder:
        made = SecureServer(Path(folder))
        yield made
        made.control("stop", "immediate")


async def by_its_task(connection, other):
    task = start(connection.fetch("select pg_sleep(1000)"))
    await busy(connection, other)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return began


async def by_wait_for(connection, other):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(connection.fetch("select pg_sleep(1000)"), 0.2)
    return time.monotonic()


async def by_its_timeout(connection, other):
    with pytest.raises(pgpoll.QueryTimeout):
        await connection.fetch("select pg_sleep(1000)", timeout=0.2)
    return time.monotonic()


async def by_the_connection(connection, other):
    task = start(connection.fetch("select pg_sleep(1000)"))
    await busy(connection, other)
    began = time.monotonic()
    connection.cancel()
    with pytest.raises((errors.QueryCanceled, pgpoll.InterfaceError)):
        await task
    return began


async def in_a_transaction(connection, other):
    with pytest.raises(asyncio.CancelledError):
        async with connection.transaction():
            await connection.execute("select 1")
            began = await by_its_task(connection, other)
            raise asyncio.CancelledError
    assert connection.transaction_status == "idle"
    return began


@pytest.mark.parametrize("stop", [by_its_task, by_wait_for, by_its_timeout, by_the_connection, in_a_transaction])
@pytest.mark.parametrize("sslmode", ["verify-full", "disable"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_is_given_up_is_stopped(server, loop, sslmode, stop):
    async def test():
        options = {**server.options, "sslmode": sslmode}
        async with await pgpoll.connect(**options, transport=True) as connection, await pgpoll.connect(**options) as other:
            assert await connection.fetchval("select ssl from pg_stat_ssl where pid = pg_backend_pid()") is (sslmode != "disable")
            took = []
            for _ in range(3):
                began = await stop(connection, other)
                assert await connection.fetchval("select $1::int4", 1) == 1
                took.append(time.monotonic() - began)
            assert min(took) < 1, took  # one may be slow, on a machine that has more to do

    run_on(loop, test)


def test_a_request_that_the_server_refuses(server):
    """It is not sent in clear where the connection is encrypted: what is given up ends in its own time."""

    async def switch(connection, ssl):
        await connection.execute(f"alter system set ssl = {ssl}")
        await connection.execute("select pg_reload_conf()")
        while await connection.fetchval("select current_setting('ssl')") != ssl:
            await asyncio.sleep(0.01)

    async def test():
        async with await pgpoll.connect(**server.options, transport=True) as connection, await pgpoll.connect(**server.options) as other:
            await switch(other, "off")
            try:
                began = time.monotonic()
                task = start(connection.fetch("select pg_sleep(0.5)"))
                await busy(connection, other)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await connection.fetchval("select 1") == 1
                assert time.monotonic() - began > 0.5
            finally:
                await switch(other, "on")

    run_on("asyncio", test)
