"""What SQLAlchemy asks of a dialect beside SQL, which is PostgreSQL's as SQLAlchemy has it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

from sqlalchemy import util
from sqlalchemy.dialects.postgresql.base import PGDialect, PGExecutionContext
from sqlalchemy.engine import URL

from .. import errors
from .dbapi import DBAPI, AsyncDBAPI, Connection
from .types import COLSPECS

_LOG = logging.getLogger("sqlalchemy.dialects.postgresql")
_BATCH = 500
"""Rows that a stream fetches at a time, where the program does not say."""


class _ExecutionContext(PGExecutionContext):
    def create_server_side_cursor(self) -> Any:
        if self.isinsert or self.isupdate or self.isdelete:
            return self._dbapi_connection.cursor()
        options = self.execution_options
        return self._dbapi_connection.cursor(options.get("yield_per") or options.get("max_row_buffer") or _BATCH)


class PGDialect_pgpoll(PGDialect):
    """`create_engine("postgresql+pgpoll://…")`: calls block."""

    driver = "pgpoll"
    default_paramstyle = "numeric_dollar"
    render_bind_cast = True
    supports_statement_cache = True
    supports_server_side_cursors = True
    supports_native_json_deserialization = True
    dialect_injects_custom_json_deserializer = True
    execution_ctx_cls = _ExecutionContext
    colspecs = util.update_copy(PGDialect.colspecs, COLSPECS)

    @classmethod
    def import_dbapi(cls) -> Any:
        return DBAPI()

    @classmethod
    def get_async_dialect_cls(cls, url: URL) -> type[PGDialect_pgpoll]:
        return PGDialectAsync_pgpoll

    def retrieve_dbapi_version(self, dbapi: Any) -> Any:
        return util.parse_version_string(version("pgpoll"))

    # Connections.

    def create_connect_args(self, url: URL) -> Any:
        options = url.translate_connect_args(username="user", database="dbname")
        options.update(url.query)
        hosts, ports = self._split_multihost_from_url(url)
        if hosts:
            options["host"] = ",".join(host or "" for host in hosts)
            options.pop("port", None)
            if any(ports or ()):
                options["port"] = ",".join(str(port or "") for port in ports or ())
        for name in ("timeout", "command_timeout"):
            util.coerce_kw_type(options, name, float)
        for name in ("transport", "pooled"):
            util.coerce_kw_type(options, name, bool)
        util.coerce_kw_type(options, "statement_cache_size", int)
        return [], options

    def on_connect(self) -> Callable[[Connection], None]:
        def connected(connection: Connection) -> None:
            connection.core.add_notice_callback(_log)
            if self._json_deserializer is not None:
                for name in ("json", "jsonb"):
                    connection.wait(connection.core.set_type_codec(name, decoder=self._json_deserializer))
            if self._native_inet_types is False:
                for name in ("inet", "cidr"):
                    connection.wait(connection.core.set_type_codec(name))

        return connected

    def get_driver_connection(self, connection: Any) -> Any:
        return connection.driver_connection

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        if connection is None:
            return False
        cause = getattr(e, "orig", None)
        return (
            isinstance(cause, errors.ConnectionLost)
            or getattr(cause, "severity", None) in ("FATAL", "PANIC")  # the end is near, if it is not there yet
            or connection.core.is_closed()
        )

    def do_ping(self, dbapi_connection: Any) -> bool:
        dbapi_connection.ping()
        return True

    # Transactions.

    def get_isolation_level_values(self, dbapi_connection: Any) -> Sequence[Any]:
        return "AUTOCOMMIT", "READ COMMITTED", "READ UNCOMMITTED", "REPEATABLE READ", "SERIALIZABLE"

    def set_isolation_level(self, dbapi_connection: Any, level: str) -> None:
        dbapi_connection.set_isolation_level(level)

    def get_isolation_level(self, dbapi_connection: Any) -> Any:
        begins = not dbapi_connection.core.is_in_transaction()
        level = super().get_isolation_level(dbapi_connection)
        if begins:
            dbapi_connection.rollback()
        return level

    def detect_autocommit_setting(self, dbapi_connection: Any) -> bool:
        return bool(dbapi_connection.autocommit)

    def set_readonly(self, connection: Any, value: bool) -> None:
        connection.readonly = value

    def get_readonly(self, connection: Any) -> bool:
        return bool(connection.readonly)

    def set_deferrable(self, connection: Any, value: bool) -> None:
        connection.deferrable = value

    def get_deferrable(self, connection: Any) -> bool:
        return bool(connection.deferrable)

    def do_begin_twophase(self, connection: Any, xid: str) -> None:
        connection.connection.begin_twophase()

    def do_prepare_twophase(self, connection: Any, xid: str) -> None:
        connection.connection.prepare_twophase(xid)

    def do_rollback_twophase(self, connection: Any, xid: str, is_prepared: bool = True, recover: bool = False) -> None:
        if is_prepared:
            connection.connection.finish_twophase("ROLLBACK", xid)
        else:
            connection.connection.rollback()

    def do_commit_twophase(self, connection: Any, xid: str, is_prepared: bool = True, recover: bool = False) -> None:
        if is_prepared:
            connection.connection.finish_twophase("COMMIT", xid)
        else:
            connection.connection.commit()


class PGDialectAsync_pgpoll(PGDialect_pgpoll):
    """`create_async_engine("postgresql+pgpoll://…")`."""

    is_async = True
    has_terminate = True
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        return AsyncDBAPI()

    def do_terminate(self, dbapi_connection: Any) -> None:
        dbapi_connection.terminate()


def _log(notice: errors.PostgresError) -> None:
    _LOG.info("%s: %s", notice.severity, notice.message)
