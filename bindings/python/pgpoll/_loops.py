"""Which event loop runs here. What the package asks of one is in `_on_asyncio` and `_on_trio`, under the same names."""

from __future__ import annotations

import sys
from types import ModuleType

from . import _on_asyncio


def here() -> ModuleType:
    """The module for the loop that runs this task."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        from . import _on_trio

        return _on_trio
    return _on_asyncio
