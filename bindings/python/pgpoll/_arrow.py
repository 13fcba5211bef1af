"""Batches of rows as pyarrow's tables, through the Arrow C data interface."""

from __future__ import annotations

import importlib
from typing import Any

from . import _failure, errors
from ._bridge import ffi, lib


def needed(name: str) -> Any:
    """A module that not every program has."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise errors.InterfaceError(f"this needs {name}: pip install {name}") from error


def table(batches: list[Any]) -> Any:
    """One table of all; each batch stays one."""
    pyarrow = needed("pyarrow")
    exported = [_record_batch(pyarrow, batch) for batch in batches]
    if not exported:
        raise errors.InterfaceError("the statement returns no rows")
    full = [batch for batch in exported if batch.num_rows] or exported[:1]
    return pyarrow.Table.from_batches(full)


def _record_batch(pyarrow: Any, batch: Any) -> Any:
    schema, array = ffi.new("struct ArrowSchema *"), ffi.new("struct ArrowArray *")
    if not lib.conn_result_export_arrow(ffi.cast("ConnResult *", batch.pointer), 0, schema, array):
        raise _failure.exception(lib.conn_error(ffi.NULL))
    return pyarrow.RecordBatch._import_from_c(int(ffi.cast("uintptr_t", array)), int(ffi.cast("uintptr_t", schema)))
