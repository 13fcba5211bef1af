"""Types of the database's own: asked for by name when the program says so, never by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _codecs, _literals, errors
from ._bridge import ROW, ROWS
from ._statements import Statements

_LOOK = """
SELECT t.oid, t.typtype::text, t.typarray, t.typbasetype, t.typrelid, r.rngsubtype, r.rngmultitypid, t.typelem, t.typcategory::text
FROM pg_type t LEFT JOIN pg_range r ON r.rngtypid = t.oid WHERE t.oid = $1::text::regtype"""
_ATTRIBUTES = "SELECT atttypid FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum"


class Introspection(Statements):
    """The part of a connection that learns types."""

    def _own_codecs(self) -> _codecs.Codecs:
        """This connection's table; statements that were prepared with another one are forgotten."""
        if self._codecs is _codecs.SHARED:
            self._codecs = _codecs.default_codecs()
            self._line.codecs = self._codecs
        self._forget_statements()
        return self._codecs

    async def set_type_codec(
        self,
        typename: str,
        *,
        encoder: Callable[[Any], str | bytes] | None = None,
        decoder: Callable[[Any], Any] | None = None,
        format: str = "text",
    ) -> None:
        """How values of a type are encoded and decoded, on this connection. `typename`: as SQL writes it, with its schema if need be.

        `format`: `text`, the encoder gives and the decoder gets a str; or `binary`, bytes in the server's binary form.
        """
        if format not in ("text", "binary"):
            raise errors.InterfaceError(f"a format is text or binary, not {format!r}")
        row = await self._run(ROW, _LOOK, (typename,), None)
        if row is None:
            raise errors.InterfaceError(f"there is no type {typename}")
        if row[1] == "d" and decoder is not None:
            raise errors.InterfaceError(f"values of the domain {typename} come as ones of its base type: set the decoder of that")
        codecs = self._own_codecs()
        binary = format == "binary"
        codecs[row[0]] = (encoder or _codecs.any_text, decoder if binary else None, None if binary else decoder, True)
        if row[2]:
            codecs[row[2]] = (*_codecs.array_codec(codecs, row[0])[:3], not binary)

    async def register_type(self, typename: str) -> None:
        """Learns an enum, a composite type (tuples), a range, a domain, with their arrays, by asking the server for what it is."""
        row = await self._run(ROW, _LOOK, (typename,), None)
        oid, kind, array, base, relation, subtype, multirange, _, _ = row
        parts = [part for (part,) in await self._run(ROWS, _ATTRIBUTES, (relation,), None)] if kind == "c" else []
        codecs = self._own_codecs()
        if kind == "c":
            codecs[oid] = _composite(codecs, parts)
        elif kind == "r":
            codecs[oid] = _codecs.range_codec(codecs, subtype)
            if multirange:
                codecs[multirange] = _codecs.multirange_codec(codecs, oid)
        elif kind == "e":
            codecs[oid] = (_codecs.any_text, _utf8, str, False)
        elif kind == "d":
            encode, decode = _codecs.text_codec(codecs, base)
            codecs[oid] = (encode, None, decode, False)
        else:
            raise errors.InterfaceError(f"{typename} is no enum, composite type, range or domain: see set_type_codec")
        if array:
            codecs[array] = _codecs.array_codec(codecs, oid)


def _utf8(data: bytes) -> str:
    return data.decode()


def _composite(codecs: _codecs.Codecs, parts: list[int]) -> _codecs.Codec:
    texts = [_codecs.text_codec(codecs, oid) for oid in parts]

    def encode(value: Any) -> str:
        if not isinstance(value, tuple) or len(value) != len(parts):
            raise TypeError(f"expected a tuple of {len(parts)} values, got {type(value).__name__}")
        return _literals.composite(value, [encode for encode, _ in texts])

    def decode(text: str) -> tuple[Any, ...]:
        found = _literals.fields(text)
        return tuple(None if part is None else read(part) for part, (_, read) in zip(found, texts, strict=True))

    in_binary = all(_codecs.is_read_in_binary(codecs, oid) for oid in parts)
    return encode, (lambda data: _codecs.read_record(data, codecs)) if in_binary else None, decode, False
