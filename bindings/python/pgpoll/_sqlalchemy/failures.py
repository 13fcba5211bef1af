"""The exceptions of PEP 249, which SQLAlchemy wraps in its own of the same names, and which of them an error of pgpoll is."""

from __future__ import annotations

from sqlalchemy.exc import EmulatedDBAPIException

from .. import errors


class Error(EmulatedDBAPIException):
    """`driver_exception` is pgpoll's, with all that the server said."""

    def __init__(self, message: str, orig: Exception | None = None) -> None:
        super().__init__(message, orig)
        self.sqlstate: str | None = getattr(orig, "sqlstate", None)
        self.pgcode = self.sqlstate  # as other drivers call it


class Warning(EmulatedDBAPIException): ...


class InterfaceError(Error): ...


class DatabaseError(Error): ...


class DataError(DatabaseError): ...


class IntegrityError(DatabaseError): ...


class InternalError(DatabaseError): ...


class NotSupportedError(DatabaseError): ...


class OperationalError(DatabaseError): ...


class ProgrammingError(DatabaseError): ...


_CLASSES = {
    DataError: "22",
    IntegrityError: "23",
    InternalError: "24 25 2B 2D 2F 38 39 3B XX",
    NotSupportedError: "0A",
    OperationalError: "08 27 28 40 53 54 55 57 58 F0 HV",
    ProgrammingError: "20 21 26 34 3D 3F 42 44 P0",
}
_BY_CLASS = {code: kind for kind, codes in _CLASSES.items() for code in codes.split()}


def translated(error: errors.Error | ValueError) -> Error:
    """The exception of PEP 249 for one of pgpoll's, or for a value that Python cannot have."""
    kind: type[Error]
    if isinstance(error, ValueError):  # a ParameterError is one, too
        kind = DataError
    elif isinstance(error, errors.InterfaceError):
        kind = InterfaceError
    elif isinstance(error, (errors.ConnectionLost, errors.QueryTimeout)):
        kind = OperationalError
    else:
        kind = _BY_CLASS.get((getattr(error, "sqlstate", None) or "")[:2], DatabaseError)
    return kind(str(error), error)
