"""Exceptions: by who is to blame, and what the server said by the class of its SQLSTATE.

* `Error`
    * `InterfaceError`: the program asked for what cannot be done; the message says what to do instead.
        * `ParameterError`: a value does not fit its parameter; the message names both.
    * `ConnectionLost`: it could not be made, or broke.
    * `PostgresError`: the server said no, with a subclass for each class of SQLSTATE and for the errors that programs handle.
        * `QueryTimeout`: the operation's time was over, and it was stopped; also a `TimeoutError` of asyncio.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar


class Error(Exception):
    """What all exceptions of this package are."""


class InterfaceError(Error):
    """The program asked for what cannot be done; the message says what to do instead."""


class ParameterError(InterfaceError, TypeError, ValueError):
    """A value does not fit its parameter. The message has the parameter's number, its type and what was expected."""


class PostgresError(Error):
    """The server refused or failed an operation. Its fields are attributes, None where the server did not say. As text: the message, with
    detail and hint."""

    sqlstate: str | None = None
    severity: str | None = None
    message: str = ""
    detail: str | None = None
    hint: str | None = None
    position: int | None = None
    """Where in the statement, in characters, from 1."""
    internal_position: str | None = None
    internal_query: str | None = None
    context: str | None = None
    schema_name: str | None = None
    table_name: str | None = None
    column_name: str | None = None
    data_type_name: str | None = None
    constraint_name: str | None = None
    server_source_file: str | None = None
    server_source_line: str | None = None
    server_source_function: str | None = None
    safe_to_retry: bool = False
    """Whether the same work can be tried again without doing it twice."""

    codes: ClassVar[dict[str, type[PostgresError]]] = {}

    def __str__(self) -> str:
        more = [f"{name}:  {said}" for name, said in (("DETAIL", self.detail), ("HINT", self.hint)) if said]
        return "\n".join([super().__str__(), *more])

    def __init_subclass__(cls, code: str | None = None) -> None:
        super().__init_subclass__()
        if code is not None:
            PostgresError.codes[code] = cls


class ConnectionException(PostgresError, code="08"):
    """SQLSTATE 08, the whole class. The server says it also of connections of its own, to other servers: this one is good."""


class ConnectionLost(ConnectionException, ConnectionError):
    """The connection could not be made, broke, or carried what the protocol does not allow."""


def _classes(table: dict[str, str], base: dict[str, type[PostgresError]]) -> None:
    for code, name in table.items():
        parent = base.get(code[:2], PostgresError)
        kind = type(
            name,
            (parent,),
            {"__doc__": f"SQLSTATE {code}{'' if len(code) == 5 else ', the whole class'}.", "__module__": __name__},
            code=code,
        )
        globals()[name] = kind


_classes(
    {
        "01": "PostgresWarning", "02": "NoData", "03": "StatementNotComplete", "09": "TriggeredActionError", "0A": "FeatureNotSupported",
        "0B": "InvalidTransactionInitiation", "0F": "LocatorError", "0L": "InvalidGrantor", "0P": "InvalidRoleSpecification",
        "0Z": "DiagnosticsError", "20": "CaseNotFound", "21": "CardinalityViolation", "22": "DataError", "23": "IntegrityError",
        "24": "InvalidCursorState", "25": "InvalidTransactionState", "26": "InvalidStatementName", "27": "TriggeredDataChangeViolation",
        "28": "InvalidAuthorization", "2B": "DependentPrivilegeDescriptors", "2D": "InvalidTransactionTermination",
        "2F": "SQLRoutineError", "34": "InvalidCursorName", "38": "ExternalRoutineError", "39": "ExternalRoutineInvocationError",
        "3B": "SavepointError", "3D": "InvalidCatalogName", "3F": "InvalidSchemaName", "40": "TransactionRollback",
        "42": "SyntaxOrAccessError", "44": "WithCheckOptionViolation", "53": "InsufficientResources", "54": "ProgramLimitExceeded",
        "55": "ObjectNotInPrerequisiteState", "57": "OperatorIntervention", "58": "SystemError", "F0": "ConfigFileError",
        "HV": "ForeignDataError", "P0": "PLpgSQLError", "XX": "InternalError",
    },
    {},
)  # fmt: skip
_classes(
    {
        "22001": "StringDataRightTruncation", "22003": "NumericValueOutOfRange", "22007": "InvalidDatetimeFormat",
        "22012": "DivisionByZero",
        "22021": "CharacterNotInRepertoire", "22P02": "InvalidTextRepresentation", "22P04": "BadCopyFileFormat",
        "23001": "RestrictViolation", "23502": "NotNullViolation", "23503": "ForeignKeyViolation", "23505": "UniqueViolation",
        "23514": "CheckViolation", "23P01": "ExclusionViolation", "25001": "ActiveSQLTransaction", "25006": "ReadOnlySQLTransaction",
        "25P02": "InFailedSQLTransaction", "25P03": "IdleInTransactionSessionTimeout", "28P01": "InvalidPassword",
        "40001": "SerializationFailure", "40P01": "DeadlockDetected", "42501": "InsufficientPrivilege", "42601": "PostgresSyntaxError",
        "42703": "UndefinedColumn", "42883": "UndefinedFunction", "42P01": "UndefinedTable", "42P02": "UndefinedParameter",
        "42P05": "DuplicatePreparedStatement", "42P07": "DuplicateTable", "42710": "DuplicateObject", "42804": "DatatypeMismatch",
        "42P18": "IndeterminateDatatype", "53100": "DiskFull", "53200": "OutOfMemory", "53300": "TooManyConnections",
        "55006": "ObjectInUse", "55P03": "LockNotAvailable", "57014": "QueryCanceled", "57P01": "AdminShutdown", "57P02": "CrashShutdown",
        "57P03": "CannotConnectNow", "P0001": "RaiseError",
    },
    dict(PostgresError.codes),
)  # fmt: skip


if TYPE_CHECKING:

    class QueryCanceled(PostgresError): ...

    def __getattr__(name: str) -> type[PostgresError]:
        """The classes that the tables above make."""
else:
    QueryCanceled = PostgresError.codes["57014"]


class QueryTimeout(QueryCanceled, asyncio.TimeoutError):
    """The operation's time was over. The server was asked to stop it; the connection says whether it is still good."""


def of_sqlstate(sqlstate: str | None, message: str) -> type[PostgresError]:
    """The class for an SQLSTATE: its own, else its class's."""
    if sqlstate is None:
        return PostgresError
    if sqlstate == "57014" and message.startswith("timeout expired"):
        return QueryTimeout
    return PostgresError.codes.get(sqlstate) or PostgresError.codes.get(sqlstate[:2], PostgresError)
