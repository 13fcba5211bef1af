"""Makes exceptions of the library's errors."""

from __future__ import annotations

from typing import Any

from . import errors
from ._bridge import ffi, lib, text

_FIELDS = {
    "internal_position": b"p", "internal_query": b"q", "context": b"W", "schema_name": b"s", "table_name": b"t", "column_name": b"c",
    "data_type_name": b"d", "constraint_name": b"n", "server_source_file": b"F", "server_source_line": b"L",
    "server_source_function": b"R",
}  # fmt: skip


def exception(error: Any) -> errors.Error:
    """The exception for a ConnError, which stays whose it is."""
    if error == ffi.NULL:
        return errors.ConnectionLost("the connection is over")
    kind, message, sqlstate = (
        lib.conn_error_kind(error),
        text(lib.conn_error_message(error)) or "",
        text(lib.conn_error_sqlstate(error)),
    )
    if kind in (lib.CONN_ERROR_MISUSE, lib.CONN_ERROR_WOULD_BLOCK):
        return errors.InterfaceError(message)
    found = errors.of_sqlstate(sqlstate, message)
    severity = text(lib.conn_error_severity(error))
    if found is errors.ConnectionException and severity in ("FATAL", "PANIC"):
        found = errors.ConnectionLost
    if kind == lib.CONN_ERROR_TRANSPORT and not issubclass(found, (errors.ConnectionLost, errors.QueryTimeout)):
        found = errors.ConnectionLost
    made = found(message)
    made.sqlstate, made.message = sqlstate, message
    made.severity, made.detail = severity, text(lib.conn_error_detail(error))
    made.hint, made.position = text(lib.conn_error_hint(error)), lib.conn_error_position(error) or None
    made.safe_to_retry = bool(lib.conn_error_safe_to_retry(error))
    for name, code in _FIELDS.items():
        value = lib.conn_error_field(error, code[0])
        if value != ffi.NULL:
            setattr(made, name, text(value))
    return made


def taken(address: int) -> errors.Error:
    """The exception for a ConnError that is ours, by its address; frees it."""
    error = ffi.cast("ConnError *", address)
    try:
        return exception(error)
    finally:
        lib.conn_error_free(error)
