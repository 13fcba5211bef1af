"""Which type is encoded and decoded how. What is built into the C side, in binary, is here as text only, for results that are text.

A codec is a tuple: encoder (gives a string, the value as text, or bytes, its binary form), decoder of binary values (gets bytes), decoder
of text, whether it goes before what is built in. The key 0 has the encoder for types that nobody knows.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import ipaddress
import json
import struct
import uuid
from collections.abc import Callable
from typing import Any

from . import _literals as literals
from .types import Range

Codec = tuple[Callable[[Any], Any] | None, Callable[[bytes], Any] | None, Callable[[str], Any] | None, bool]
Codecs = dict[int, Codec]

_NAMES = {
    16: "boolean", 17: "bytea", 18: '"char"', 19: "name", 20: "bigint", 21: "smallint", 23: "integer", 25: "text", 26: "oid", 28: "xid",
    29: "cid", 114: "json", 142: "xml", 650: "cidr", 700: "real", 701: "double precision", 869: "inet", 1042: "character",
    1043: "character varying", 1082: "date", 1083: "time", 1114: "timestamp", 1184: "timestamptz", 1186: "interval", 1266: "timetz",
    1700: "numeric", 2249: "record", 2950: "uuid", 3802: "jsonb", 3904: "int4range", 3906: "numrange", 3908: "tsrange",
    3910: "tstzrange", 3912: "daterange", 3926: "int8range",
}  # fmt: skip

ARRAYS = {
    199: 114, 651: 650, 1000: 16, 1001: 17, 1002: 18, 1003: 19, 1005: 21, 1007: 23, 1009: 25, 1014: 1042, 1015: 1043, 1016: 20,
    1021: 700, 1022: 701, 1028: 26, 1041: 869, 1115: 1114, 1182: 1082, 1183: 1083, 1185: 1184, 1187: 1186, 1231: 1700, 1270: 1266,
    2951: 2950, 3807: 3802, 3905: 3904, 3907: 3906, 3909: 3908, 3911: 3910, 3913: 3912, 3927: 3926,
}  # fmt: skip
"""Array types and the types of their elements."""

RANGES = {3904: 23, 3906: 1700, 3908: 1114, 3910: 1184, 3912: 1082, 3926: 20}
MULTIRANGES = {4451: 3904, 4532: 3906, 4533: 3908, 4534: 3910, 4535: 3912, 4536: 3926}


def type_name(oid: int) -> str:
    """What a type is called in messages."""
    if oid in ARRAYS:
        return type_name(ARRAYS[oid]) + "[]"
    return _NAMES.get(oid, f"with OID {oid}")


def _checked(kinds: type | tuple[type, ...], named: str, make: Callable[[Any], str] = str) -> Callable[[Any], str]:
    def encode(value: Any) -> str:
        if not isinstance(value, kinds):
            raise TypeError(f"expected {named}, got {type(value).__name__}")
        return make(value)

    return encode


def _number(lowest: int, highest: int) -> Callable[[Any], str]:
    def encode(value: Any) -> str:
        if not isinstance(value, int):
            raise TypeError(f"expected int, got {type(value).__name__}")
        if not lowest <= value <= highest:
            raise OverflowError(f"expected an int from {lowest} to {highest}")
        return str(int(value))

    return encode


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _interval(value: dt.timedelta) -> str:
    return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"


def _address(value: Any) -> str:
    if isinstance(value, str):
        value = ipaddress.ip_interface(value)
    return str(value)


def _parse_inet(text: str) -> Any:
    return ipaddress.ip_interface(text) if "/" in text else ipaddress.ip_address(text)


def _inet(data: bytes) -> Any:
    family, bits, is_cidr, length = data[:4]
    size, address = 4 if family == 2 else 16, ipaddress.ip_address(data[4 : 4 + length])
    if is_cidr:
        return ipaddress.ip_network((address, bits))
    return address if bits == size * 8 else ipaddress.ip_interface((address, bits))


def _timetz(data: bytes) -> dt.time:
    micro, west = struct.unpack("!qi", data)
    zone = dt.timezone(dt.timedelta(seconds=-west))
    micro = min(micro, 86_399_999_999)
    return (dt.datetime.min + dt.timedelta(microseconds=micro)).time().replace(tzinfo=zone)


def _single(text: str) -> float:
    """The number of four bytes that the text stands for: its eight bytes would be others."""
    return float(struct.unpack("f", struct.pack("f", float(text)))[0])


def any_text(value: Any) -> str:
    """A value as text by what it is, for types that nobody knows."""
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "\\x" + bytes(value).hex()
    if isinstance(value, (dict,)):
        return json.dumps(value)
    if isinstance(value, dt.timedelta):
        return _interval(value)
    if isinstance(value, dt.date):
        return literals.any_date_text(value)
    if isinstance(value, list):
        return literals.array(value, any_text)
    if isinstance(value, tuple):
        return literals.composite(value, [any_text] * len(value))
    if isinstance(value, Range):
        return literals.range_text(value, any_text)
    if isinstance(value, (int, float, decimal.Decimal, uuid.UUID, dt.time, ipaddress.IPv4Address, ipaddress.IPv6Address,
                          ipaddress.IPv4Network, ipaddress.IPv6Network)):  # fmt: skip
        return str(value)
    raise TypeError(f"expected str, got {type(value).__name__}; set_type_codec says how a type is encoded")


_TEXT = _checked(str, "str")
_FLOAT = _checked((int, float, decimal.Decimal), "float", lambda value: repr(float(value)))
_BYTES = _checked((bytes, bytearray, memoryview), "bytes", lambda value: "\\x" + bytes(value).hex())
_UUID = _checked((uuid.UUID, str), "uuid.UUID")
_ADDRESS = _checked(
    (str, ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network),
    "an address of ipaddress",
    _address,
)

# Type: encoder of text, decoder of binary values, decoder of text.
_SCALARS: dict[int, tuple[Callable[[Any], str], Callable[[bytes], Any] | None, Callable[[str], Any] | None]] = {
    16: (_checked(bool, "bool", lambda value: "t" if value else "f"), None, lambda text: text == "t"),
    17: (_BYTES, None, literals.parse_bytea),
    20: (_number(-(2**63), 2**63 - 1), None, int),
    21: (_number(-(2**15), 2**15 - 1), None, int),
    23: (_number(-(2**31), 2**31 - 1), None, int),
    26: (_number(0, 2**32 - 1), None, int),
    28: (_number(0, 2**32 - 1), None, int),
    29: (_number(0, 2**32 - 1), None, int),
    114: (_json, None, json.loads),
    700: (_FLOAT, None, _single),
    701: (_FLOAT, None, float),
    650: (
        _checked((str, ipaddress.IPv4Network, ipaddress.IPv6Network), "a network of ipaddress"),
        _inet,
        ipaddress.ip_network,
    ),
    869: (_ADDRESS, _inet, _parse_inet),
    1082: (_checked(dt.date, "datetime.date", literals.date_text), None, literals.parse_date),
    1083: (_checked(dt.time, "datetime.time"), None, literals.parse_time),
    1114: (_checked(dt.datetime, "datetime.datetime", literals.timestamp_text), None, literals.parse_timestamp),
    1184: (_checked(dt.datetime, "datetime.datetime", literals.timestamptz_text), None, literals.parse_timestamptz),
    1186: (_checked(dt.timedelta, "datetime.timedelta", _interval), None, literals.parse_interval),
    1266: (_checked(dt.time, "datetime.time"), _timetz, literals.parse_time),
    1700: (_checked((decimal.Decimal, int, float), "decimal.Decimal"), None, decimal.Decimal),
    2278: (_TEXT, None, lambda text: None),
    2950: (_UUID, None, uuid.UUID),
    3802: (_json, None, json.loads),
    **{oid: (_TEXT, None, None) for oid in (18, 19, 25, 142, 705, 1042, 1043)},
}


def text_codec(codecs: Codecs, oid: int) -> tuple[Callable[[Any], str], Callable[[str], Any]]:
    """How a type goes as text, for the parts of arrays, ranges and rows."""
    codec = codecs.get(oid)
    encode = codec[0] if codec and codec[0] else any_text

    def as_text(value: Any) -> str:
        encoded = encode(value)
        if not isinstance(encoded, str):
            raise TypeError(f"the codec of type {type_name(oid)} gives bytes: inside of other values it has to give text")
        return encoded

    return as_text, (codec[2] if codec and codec[2] else str)


def is_read_in_binary(codecs: Codecs, oid: int) -> bool:
    """Whether somebody knows the binary form of a type."""
    codec = codecs.get(oid)
    if codec is None or codec[1] is not None or codec[3]:
        return codec is not None and codec[1] is not None
    return oid in _SCALARS or (oid in ARRAYS and is_read_in_binary(codecs, ARRAYS[oid]))


def array_codec(codecs: Codecs, element: int) -> Codec:
    """The codec of arrays of a type. Their binary form is read by the C side."""
    encode, decode = text_codec(codecs, element)
    nests = element not in (114, 3802)  # a list in an array of json is a value, not a dimension
    return lambda values: literals.array(values, encode, nests), None, lambda text: literals.parse_array(text, decode), False


def range_codec(codecs: Codecs, subtype: int) -> Codec:
    encode, decode = text_codec(codecs, subtype)

    def read(data: bytes) -> Range:
        from ._bridge import native

        flags, at = data[0], 1
        bounds: list[Any] = []
        if flags & 1:
            return Range(empty=True, lower_inc=False)
        for infinite in (8, 16):
            if flags & infinite:
                bounds.append(None)
                continue
            (length,) = struct.unpack_from("!i", data, at)
            bounds.append(native.decode(subtype, data[at + 4 : at + 4 + length], codecs))
            at += 4 + length
        return Range(bounds[0], bounds[1], bool(flags & 2), bool(flags & 4))

    return (
        lambda value: literals.range_text(value, encode),
        read,
        lambda text: literals.parse_range(text, decode),
        False,
    )


def multirange_codec(codecs: Codecs, of: int) -> Codec:
    encode, read_one, decode = codecs[of][:3]
    assert encode and read_one and decode

    def read(data: bytes) -> list[Range]:
        (count,) = struct.unpack_from("!i", data)
        found, at = [], 4
        for _ in range(count):
            (length,) = struct.unpack_from("!i", data, at)
            found.append(read_one(data[at + 4 : at + 4 + length]))
            at += 4 + length
        return found

    return (
        lambda values: values if isinstance(values, str) else "{" + ",".join(encode(value) for value in values) + "}",
        read,
        lambda text: literals.parse_multirange(text, decode),
        False,
    )


def read_record(data: bytes, codecs: Codecs) -> tuple[Any, ...]:
    """The binary form of a row, which says the types of its values."""
    from ._bridge import native

    (count,) = struct.unpack_from("!i", data)
    values, at = [], 4
    for _ in range(count):
        oid, length = struct.unpack_from("!Ii", data, at)
        at += 8
        values.append(None if length < 0 else native.decode(oid, data[at : at + length], codecs))
        at += max(length, 0)
    return tuple(values)


def default_codecs() -> Codecs:
    """A table of its own for a connection."""
    codecs: Codecs = {oid: (encode, binary, decode, False) for oid, (encode, binary, decode) in _SCALARS.items()}
    codecs[0] = (any_text, None, None, False)
    for oid, subtype in RANGES.items():
        codecs[oid] = range_codec(codecs, subtype)
    for oid, of in MULTIRANGES.items():
        codecs[oid] = multirange_codec(codecs, of)
    codecs[2249] = (any_text, lambda data: read_record(data, codecs), None, False)
    for oid, element in ARRAYS.items():
        codecs[oid] = array_codec(codecs, element)
    return codecs


SHARED = default_codecs()
"""The table of connections that have no codecs of their own. Never changed."""
