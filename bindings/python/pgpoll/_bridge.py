"""The two modules of the extension: `lib` and `ffi`, cffi's border to pgpoll.h, and `native`, our own beside it."""

from __future__ import annotations

import asyncio
import copy
import decimal
import importlib.machinery
import importlib.util
import json
import os
import sys
import uuid
import weakref
from contextvars import ContextVar
from types import ModuleType
from typing import Any

from . import errors

try:
    from . import _border  # type: ignore[attr-defined]
except ImportError as error:
    message = "pgpoll's extension is not here: install it (pip install ./bindings/python), and do not import its source folder"
    raise ImportError(message) from error

ffi: Any = _border.ffi
lib: Any = _border.lib

NEVER = 2**63 - 1
"""A deadline that there is not."""

HOLDERS: ContextVar[tuple[object, ...]] = ContextVar("pgpoll connections that this task has for itself", default=())

# As in native.h.
ROWS, ROW, VALUE, TAG, DESCRIBE, BATCHES, COPY, NOTHING, PORTAL, RESULT, COUNT = range(11)


def _load() -> ModuleType:
    """Both modules are in one shared object."""
    name = f"{__package__}._native"
    loader = importlib.machinery.ExtensionFileLoader(name, _border.__file__)
    spec = importlib.util.spec_from_file_location(name, _border.__file__, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    sys.modules[name] = module
    return module


def _parameter_error(number: int, oid: int, cause: Exception) -> Exception:
    from ._codecs import type_name

    error = errors.ParameterError(f"parameter ${number} of type {type_name(oid)}: {cause}")
    error.__cause__ = cause
    return error


def _copy_error(error: BaseException) -> BaseException:
    """What PyPy raises of an exception that C keeps: its collector would not see that the traceback leads back to it."""
    try:
        copied = copy.copy(error)
    except Exception:  # its class wants other arguments than it has
        return error
    copied.__cause__, copied.__suppress_context__ = error.__cause__, error.__suppress_context__
    return copied.with_traceback(error.__traceback__)


native: Any = _load()
native.configure(
    interface_error=errors.InterfaceError,
    cancelled_error=asyncio.CancelledError,
    copy_error=_copy_error,
    parameter_error=_parameter_error,
    holder=HOLDERS,
    loads=json.loads,
    dumps=json.dumps,
    decimal=decimal.Decimal,
    uuid=uuid.UUID,
)
os.register_at_fork(after_in_child=native.forked)

Line: Any = native.Line

if sys.implementation.name == "pypy":

    class Line(native.Line):  # type: ignore[no-redef]
        """PyPy's collector does not see what C refers to: the owner is kept here, and C has a weak reference."""

        def __new__(cls, conn: int, owner: Any, *rest: Any) -> Any:
            self = super().__new__(cls, conn, weakref.proxy(owner), *rest)
            self.owner = owner
            return self


def text(pointer: Any) -> str | None:
    """A C string of the library's; None for NULL."""
    return None if pointer == ffi.NULL else ffi.string(pointer).decode("utf-8", "replace")
