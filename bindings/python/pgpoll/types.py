"""Values that Python has no type of its own for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class Record:
        """A row: values by number (also slices) and by column name. Never changes. `in` looks for a column's name."""

        def __getitem__(self, key: int | str | slice) -> Any: ...
        def __len__(self) -> int: ...
        def __iter__(self) -> Iterator[Any]: ...
        def __contains__(self, name: object) -> bool: ...
        def keys(self) -> Iterator[str]: ...
        def values(self) -> Iterator[Any]: ...
        def items(self) -> Iterator[tuple[str, Any]]: ...
        def get(self, name: str, default: Any = None) -> Any: ...
else:
    from ._bridge import native

    Record = native.Record


@dataclass(frozen=True)
class Range:
    """A range of PostgreSQL's: from `lower` to `upper`, None where it has no bound; `empty` has none at all. What is no bound is not
    inclusive."""

    lower: Any = None
    upper: Any = None
    lower_inc: bool = True
    upper_inc: bool = False
    empty: bool = False

    def __post_init__(self) -> None:
        set_once = object.__setattr__  # so that ranges are equal where PostgreSQL's are
        if self.empty:
            set_once(self, "lower", None)
            set_once(self, "upper", None)
        set_once(self, "lower_inc", self.lower_inc and self.lower is not None)
        set_once(self, "upper_inc", self.upper_inc and self.upper is not None)

    def __contains__(self, value: Any) -> bool:
        if self.empty:
            return False
        if self.lower is not None and not (value > self.lower or (self.lower_inc and value == self.lower)):
            return False
        return self.upper is None or value < self.upper or (self.upper_inc and value == self.upper)

    def __str__(self) -> str:
        if self.empty:
            return "empty"
        lower, upper = ("" if bound is None else str(bound) for bound in (self.lower, self.upper))
        return f"{'[' if self.lower_inc else '('}{lower},{upper}{']' if self.upper_inc else ')'}"


@dataclass(frozen=True)
class Notification:
    """What NOTIFY has sent: who, the backend's process ID, on which channel, and what."""

    channel: str
    payload: str
    pid: int
