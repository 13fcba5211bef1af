"""How SQLAlchemy's types and pgpoll's values meet. The server infers what a parameter is; a cast says it where SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sqlalchemy import types as sqltypes
from sqlalchemy.dialects.postgresql import ranges
from sqlalchemy.dialects.postgresql.array import ARRAY
from sqlalchemy.dialects.postgresql.base import ENUM, INTERVAL, OID, REGCLASS, REGCONFIG
from sqlalchemy.dialects.postgresql.json import JSONPathType
from sqlalchemy.dialects.postgresql.pg_catalog import INT2VECTOR, OIDVECTOR
from sqlalchemy.dialects.postgresql.types import BYTEA, CITEXT
from sqlalchemy.engine import processors

from .. import _literals as literals
from .._codecs import any_text
from ..types import Range

Processor = Callable[[Any], Any]
_FLOATS = (700, 701, 1021, 1022)
"""OIDs of real and double precision, and of arrays of them. All other numbers come as Decimal or int."""


def _cast(kind: type[Any]) -> type[Any]:
    """The type, which says what it is where it is a parameter."""
    return type(kind.__name__, (kind,), {"render_bind_cast": True, "__module__": __name__})


class _Number(sqltypes.NumericCommon):  # type: ignore[type-arg]
    render_bind_cast = True

    def bind_processor(self, dialect: Any) -> None:
        return None

    def result_processor(self, dialect: Any, coltype: Any) -> Processor | None:
        if self.asdecimal and coltype in _FLOATS:
            return processors.to_decimal_processor_factory(Decimal, self._effective_decimal_return_scale)
        return None if self.asdecimal or coltype in _FLOATS else processors.to_float


class _Numeric(_Number, sqltypes.Numeric): ...  # type: ignore[type-arg]


class _Float(_Number, sqltypes.Float): ...  # type: ignore[type-arg]


class _Interval(INTERVAL):
    render_bind_cast = True

    @classmethod
    def adapt_emulated_to_native(cls, interval: Any, **unused: Any) -> _Interval:  # type: ignore[override]
        return cls(precision=interval.second_precision)


class _Array(ARRAY):  # type: ignore[type-arg]
    render_bind_cast = True

    def result_processor(self, dialect: Any, coltype: Any) -> Processor:
        """An array of a type that pgpoll does not know comes as text."""
        process: Any = super().result_processor(dialect, coltype)
        return lambda value: process(literals.parse_array(value, str) if isinstance(value, str) else value)


class _JSONIndex(sqltypes.JSON.JSONIntIndexType):
    __visit_name__ = "json_int_index"
    render_bind_cast = True


class _JSONKey(sqltypes.JSON.JSONStrIndexType):
    __visit_name__ = "json_str_index"
    render_bind_cast = True


class _JSONPath(JSONPathType):
    def bind_processor(self, dialect: Any) -> Processor:
        """The steps of a path are an array of text; a string is a path of the type jsonpath."""
        return lambda value: value if isinstance(value, str) else [str(step) for step in value or ()]


def _to_range(value: Any) -> Any:
    if not isinstance(value, ranges.Range):
        return value
    return Range(value.lower, value.upper, value.bounds[0] == "[", value.bounds[1] == "]", value.empty)


def _from_range(value: Any) -> Any:
    if value is None:
        return None
    bounds: Any = "[)" if value.empty else f"{'[' if value.lower_inc else '('}{']' if value.upper_inc else ')'}"
    return ranges.Range(value.lower, value.upper, bounds=bounds, empty=value.empty)


class _Range(ranges.AbstractSingleRangeImpl):  # type: ignore[type-arg]
    def bind_processor(self, dialect: Any) -> Processor:
        return _to_range

    def result_processor(self, dialect: Any, coltype: Any) -> Processor:
        return _from_range


class _MultiRange(ranges.AbstractMultiRangeImpl):  # type: ignore[type-arg]
    def bind_processor(self, dialect: Any) -> Processor:
        """As text: where nothing is prepared a list would be an array of ranges."""

        def process(value: Any) -> Any:
            if value is None or isinstance(value, str):
                return value
            return "{" + ",".join(literals.range_text(_to_range(each), any_text) for each in value) + "}"

        return process

    def result_processor(self, dialect: Any, coltype: Any) -> Processor:
        return lambda value: None if value is None else ranges.MultiRange(_from_range(each) for each in value)


class _Vector:
    """int2vector and oidvector come as text: numbers with a space between."""

    def result_processor(self, dialect: Any, coltype: Any) -> Processor:
        return lambda value: None if value is None else [int(number) for number in value.split()]


class _Int2Vector(_Vector, INT2VECTOR): ...


class _OidVector(_Vector, OIDVECTOR): ...


_CAST = (
    sqltypes.String, sqltypes.CHAR, sqltypes.Boolean, sqltypes.Integer, sqltypes.SmallInteger, sqltypes.BigInteger, sqltypes.Date,
    sqltypes.DateTime, sqltypes.Time, OID, REGCLASS, REGCONFIG,
)  # fmt: skip

COLSPECS: dict[type[Any], type[Any]] = {
    **{kind: _cast(kind) for kind in _CAST},
    sqltypes.LargeBinary: _cast(BYTEA),
    sqltypes.Enum: _cast(ENUM),
    CITEXT: CITEXT,
    sqltypes.Numeric: _Numeric,
    sqltypes.Float: _Float,
    sqltypes.Interval: _Interval,
    INTERVAL: _Interval,
    sqltypes.ARRAY: _Array,
    sqltypes.JSON.JSONIntIndexType: _JSONIndex,
    sqltypes.JSON.JSONStrIndexType: _JSONKey,
    sqltypes.JSON.JSONPathType: _JSONPath,
    ranges.AbstractSingleRange: _Range,
    ranges.AbstractMultiRange: _MultiRange,
    INT2VECTOR: _Int2Vector,
    OIDVECTOR: _OidVector,
}
