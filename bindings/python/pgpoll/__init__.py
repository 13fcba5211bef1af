"""PostgreSQL for asyncio and trio: the protocol runs in Rust, the event loop is yours.

connection = await pgpoll.connect("host=localhost dbname=postgres")
rows = await connection.fetch("select n, n * n as square from generate_series(1, $1) as n", 3)
"""

from . import errors, sync, types
from ._opening import connect
from ._prepared import PreparedStatement
from .connection import Connection
from .errors import (
    ConnectionLost,
    Error,
    InterfaceError,
    ParameterError,
    PostgresError,
    QueryTimeout,
)
from .pool import Pool, create_pool
from .transaction import Transaction
from .types import Notification, Range, Record

__all__ = [
    "Connection",
    "ConnectionLost",
    "Error",
    "InterfaceError",
    "Notification",
    "ParameterError",
    "Pool",
    "PostgresError",
    "PreparedStatement",
    "QueryTimeout",
    "Range",
    "Record",
    "Transaction",
    "connect",
    "create_pool",
    "errors",
    "sync",
    "types",
]
