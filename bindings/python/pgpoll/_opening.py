"""Makes connections: what the program says, as the library wants it, and on which loop."""

from __future__ import annotations

import asyncio
import inspect
import math
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from . import _loops, errors
from ._bridge import ffi, lib, text
from ._reactor import Carried, Reactor, Readiness
from .connection import Connection

BATCH_BYTES = 64 * 1024
"""Rows are made Python objects piece by piece, while the server makes the next ones."""


_NO_VALUE = re.compile(r"(^|\s)\w+\s*=\s*$")


def _conninfo(dsn: str, options: dict[str, str]) -> str:
    """One connection string of all: options go before what the string says."""
    if dsn.startswith(("postgres://", "postgresql://")):
        more = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
        return f"{dsn}{'&' if '?' in dsn else '?'}{more}"
    if _NO_VALUE.search(dsn):  # it would have the first option for its value
        dsn += "''"
    escaped = (f"{name}='{value.translate({39: chr(92) + chr(39), 92: chr(92) * 2})}'" for name, value in options.items())
    return f"{dsn} {' '.join(escaped)}"


def _open(dsn: str, options: dict[str, Any], stream: bool, token: Any, pooled: bool | None) -> Any:
    if not isinstance(dsn, str):
        raise errors.InterfaceError(f"a connection string is a str, not {type(dsn).__name__}")
    words = {{"database": "dbname"}.get(name, name): str(value) for name, value in options.items() if value is not None}
    words["client_encoding"] = "UTF8"
    words.setdefault("fallback_application_name", "pgpoll")
    try:
        conninfo = _conninfo(dsn, words).encode()
    except UnicodeEncodeError as error:
        raise errors.InterfaceError(f"a connection string is UTF-8: {error}") from error
    if b"\0" in conninfo:
        raise errors.InterfaceError("a connection string cannot have a character 0")
    conn = lib.conn_open_stream(conninfo) if stream else lib.conn_open(conninfo)
    if conn == ffi.NULL:
        raise MemoryError
    lib.conn_set_batch(conn, 0, BATCH_BYTES)
    lib.conn_set_healing(conn, 0)  # it is for one operation at a time: see Statements._renew
    lib.conn_set_describing(conn, -1 if pooled is None else bool(pooled))
    given = isinstance(token, str) and lib.conn_give_token(conn, token.replace("\0", "?").encode("ascii", "replace"))
    if token is not None and not given:
        why = text(lib.conn_error_message(lib.conn_error(conn))) if isinstance(token, str) else f"it is a str, not {type(token).__name__}"
        lib.conn_close(conn)
        raise errors.InterfaceError(f"oauth_token: {why}")
    return conn


def _has_readers(loop: Any) -> bool:
    if not isinstance(loop, asyncio.AbstractEventLoop):
        return True
    return type(loop).add_reader is not asyncio.AbstractEventLoop.add_reader and "Proactor" not in type(loop).__name__


async def connect(
    dsn: str = "",
    *,
    timeout: float | None = None,
    command_timeout: float | None = None,
    statement_cache_size: int = 100,
    transport: bool = False,
    pooled: bool | None = None,
    oauth_token: str | Callable[[], str | Awaitable[str]] | None = None,
    **options: Any,
) -> Connection:
    """Connects, by a connection string or URI, options of libpq by their names, and the `PG*` environment.

    `timeout`: seconds that it may take. `command_timeout`: seconds that each operation may take. `statement_cache_size`: how many prepared
    statements are kept; 0: none is prepared, for poolers that cannot have them; values and results go as text then. `transport`:
    bytes go through an asyncio transport, as they do where the loop has no `add_reader`. `pooled`: whether a pooler that prepares
    statements by itself is in between, so that each execution has to ask for its columns; nearly always it is noticed. `oauth_token`: the
    bearer token for servers that want one (besides `oauth_issuer` and `oauth_client_id`), or a function that gives it, called for each
    connection of a pool.
    """
    on = _loops.here()
    stream = transport or not _has_readers(on.loop())
    if stream and on is not _loops._on_asyncio:
        raise errors.InterfaceError("only asyncio has transports: connect without `transport`")
    token: Any = oauth_token() if callable(oauth_token) else oauth_token
    if inspect.isawaitable(token):
        token = await token
    return await opened(
        dsn,
        options,
        lambda owner: (Carried if stream else Readiness)(owner, on),
        stream,
        timeout,
        command_timeout,
        statement_cache_size,
        token,
        pooled,
    )


async def opened(
    dsn: str,
    options: dict[str, Any],
    reacts: Callable[[Any], Reactor],
    stream: bool,
    timeout: float | None,
    command_timeout: float | None,
    cache_size: int,
    token: str | None,
    pooled: bool | None,
) -> Connection:
    for name, value in (("timeout", timeout), ("command_timeout", command_timeout), ("statement_cache_size", cache_size)):
        if isinstance(value, bool) or (not isinstance(value, (int, float)) and (value is not None or name == "statement_cache_size")):
            raise errors.InterfaceError(f"{name} is a number, not {type(value).__name__}")
    if command_timeout is not None and not command_timeout > 0:
        raise errors.InterfaceError("command_timeout is above 0 seconds; None is no limit")
    if timeout is not None:
        options.setdefault("connect_timeout", max(1, math.ceil(min(timeout, 1e6))))
    conn = _open(dsn, options, stream, token, pooled)
    connection = Connection(conn, reacts, stream=stream, cache_size=cache_size, timeout=command_timeout)
    line, loop = connection._line, connection._reactor.loop
    line.idle_wanted = True
    connection._up = up = line.future()
    timer = None
    try:
        if timeout is not None and timeout < 1e6 and loop is not None:
            timer = loop.call_later(timeout, up.set_exception, errors.ConnectionLost(f"connecting took more than {timeout} seconds"))
        if isinstance(connection._reactor, Carried):
            await connection._reactor.dial()
        line.ready()
        await up
    except BaseException:
        connection.terminate()
        raise
    finally:
        connection._up = None
        if timer:
            timer.cancel()
    return connection
