"""PostgreSQL's text forms of what has parts: arrays, composite values, ranges; and of dates and times. Knows no OIDs."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from typing import Any

from .types import Range

Encode = Callable[[Any], str]
Decode = Callable[[str], Any]


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def array(values: Any, encode: Encode, nests: bool = True) -> str:
    """The literal of a list, or of lists of lists where it nests; elements by `encode`."""
    if isinstance(values, (str, bytes, bytearray, dict)) or not isinstance(values, Iterable):
        raise TypeError(f"expected a list, got {type(values).__name__}")
    return "{" + ",".join(_element(value, encode, nests) for value in values) + "}"


def _element(value: Any, encode: Encode, nests: bool) -> str:
    if value is None:
        return "NULL"
    if nests and isinstance(value, list):
        return array(value, encode)
    return quoted(encode(value))


_TOKEN = re.compile(r'(?:([{}])|"((?:[^"\\]|\\.)*)"|((?:[^"\\,{}]|\\.)+))(,?)', re.S)


def parse_array(text: str, decode: Decode, delimiter: str = ",") -> list[Any]:
    """A list, or lists of lists, of an array's text."""
    if text.startswith("["):  # bounds other than 1
        text = text[text.index("=") + 1 :]
    if delimiter != ",":
        text = text.replace(delimiter, ",")
    stack: list[list[Any]] = [[]]
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if not token or token.end() == at:
            raise ValueError(f"malformed array {text!r}")
        at = token.end()
        brace, in_quotes, bare = token.group(1, 2, 3)
        if brace == "{":
            stack.append([])
            at = token.end(1)
        elif brace == "}":
            if len(stack) < 2:
                raise ValueError(f"malformed array {text!r}")
            done = stack.pop()
            stack[-1].append(done)
        elif in_quotes is not None:
            stack[-1].append(decode(_unescaped(in_quotes)))
        else:
            stack[-1].append(None if bare.upper() == "NULL" else decode(_unescaped(bare)))
    if len(stack) != 1 or len(stack[0]) != 1:
        raise ValueError(f"malformed array {text!r}")
    return stack[0][0]


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.S) if "\\" in text else text


def composite(values: Iterable[Any], encoders: Iterable[Encode]) -> str:
    """The literal of a row."""
    return "(" + ",".join("" if value is None else quoted(encode(value)) for value, encode in zip(values, encoders, strict=True)) + ")"


_FIELD = re.compile(r'((?:"(?:[^"\\]|\\.|"")*"|[^",()\\]|\\.)*)([,)])', re.S)


def fields(text: str) -> list[str | None]:
    """The parts of a row's or a range's text between its brackets: None for what is not there."""
    found: list[str | None] = []
    body, at = text[1:-1] + ")", 0
    while at < len(body):
        token = _FIELD.match(body, at)
        if not token:
            raise ValueError(f"malformed row {text!r}")
        at = token.end()
        raw = token.group(1)
        found.append(_field(raw) if raw else None)
        if token.group(2) == ")":
            break
    return found


def _field(raw: str) -> str:
    def part(match: re.Match[str]) -> str:
        inner = match.group(1)
        return match.group(0) if inner is None else re.sub(r'\\(.)|""', lambda m: m.group(1) or '"', inner, flags=re.S)

    return _unescaped(raw) if '"' not in raw else re.sub(r'"((?:[^"\\]|\\.|"")*)"|[^"]', part, raw, flags=re.S)


def range_text(value: Any, encode: Encode) -> str:
    if not isinstance(value, Range):
        raise TypeError(f"expected pgpoll.Range, got {type(value).__name__}")
    if value.empty:
        return "empty"
    lower, upper = ("" if bound is None else quoted(encode(bound)) for bound in (value.lower, value.upper))
    return f"{'[' if value.lower_inc else '('}{lower},{upper}{']' if value.upper_inc else ')'}"


def parse_range(text: str, decode: Decode) -> Range:
    if text == "empty":
        return Range(empty=True, lower_inc=False)
    lower, upper = (None if part is None else decode(part) for part in fields(text))
    return Range(lower, upper, text[0] == "[", text[-1] == "]")


def parse_multirange(text: str, decode: Callable[[str], Range]) -> list[Range]:
    """`decode`: of one range."""
    return [decode(part) for part in re.findall(r'[\[(](?:"(?:[^"\\]|\\.|"")*"|[^\])"])*[\])]', text[1:-1])]


def parse_bytea(text: str) -> bytes:
    if text.startswith("\\x"):
        return bytes.fromhex(text[2:])
    return re.sub(
        rb"\\(\\|[0-7]{3})",
        lambda m: b"\\" if m.group(1) == b"\\" else bytes([int(m.group(1), 8)]),
        text.encode("latin-1"),
    )


def date_text(value: dt.date) -> str:
    """The largest and the smallest date are infinity, as in binary."""
    value = value.date() if isinstance(value, dt.datetime) else value
    return "infinity" if value == dt.date.max else "-infinity" if value == dt.date.min else str(value)


def timestamp_text(value: dt.datetime) -> str:
    if value.tzinfo is not None:
        raise TypeError("expected a datetime.datetime without tzinfo, got one with it")
    return "infinity" if value == dt.datetime.max else "-infinity" if value == dt.datetime.min else str(value)


def timestamptz_text(value: dt.datetime) -> str:
    """Without a zone: local time, as everywhere in Python."""
    if value.tzinfo is None and value in (dt.datetime.min, dt.datetime.max):
        return timestamp_text(value)
    moved = value.astimezone(dt.timezone.utc)
    end = timestamp_text(moved.replace(tzinfo=None))
    return end if end.endswith("infinity") else str(moved)


def any_date_text(value: dt.date) -> str:
    if not isinstance(value, dt.datetime):
        return date_text(value)
    return timestamp_text(value) if value.tzinfo is None else timestamptz_text(value)


def parse_date(text: str) -> dt.date:
    if text.endswith("infinity"):
        return dt.date.min if text.startswith("-") else dt.date.max
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is out of the range of Python's dates, or not in the datestyle ISO: fetch it as text") from None


_CLOCK = re.compile(r"(\d+):(\d+):(\d+)(?:\.(\d{1,6}))?(?:([+-])(\d+)(?::(\d+))?(?::(\d+))?)?$")


def parse_time(text: str) -> dt.time:
    """With a zone where there is one."""
    match = _CLOCK.match(text)
    if not match:
        raise ValueError(f"malformed time {text!r}")
    hour, minute, second, fraction, sign, zone_hour, zone_minute, zone_second = match.groups()
    zone = None
    if sign:
        offset = dt.timedelta(hours=int(zone_hour), minutes=int(zone_minute or 0), seconds=int(zone_second or 0))
        zone = dt.timezone(-offset if sign == "-" else offset)
    if hour == "24":
        return dt.time.max.replace(tzinfo=zone)
    return dt.time(int(hour), int(minute), int(second), int((fraction or "0").ljust(6, "0")), zone)


def parse_timestamp(text: str) -> dt.datetime:
    if text.endswith("infinity"):
        return dt.datetime.min if text.startswith("-") else dt.datetime.max
    day, _, clock = text.partition(" ")
    if clock.endswith(" BC"):
        day += " BC"
    return dt.datetime.combine(parse_date(day), parse_time(clock))


def parse_timestamptz(text: str) -> dt.datetime:
    stamp = parse_timestamp(text)
    return stamp.replace(tzinfo=dt.timezone.utc) if stamp.tzinfo is None else stamp.astimezone(dt.timezone.utc)


_UNITS = {"year": 365, "years": 365, "mon": 30, "mons": 30, "day": 1, "days": 1}
_INTERVAL = re.compile(r"([+-]?\d+) (years?|mons?|days?)(?: |$)|([+-]?)(\d+):(\d+):(\d+)(?:\.(\d{1,6}))?$")


def parse_interval(text: str) -> dt.timedelta:
    """In the server's intervalstyle postgres. A year is 365 days, a month 30."""
    total, at = dt.timedelta(), 0
    while at < len(text):
        if not (match := _INTERVAL.match(text, at)):
            raise ValueError(
                f"an interval of {text!r} is none of Python's timedelta, or not in the intervalstyle postgres: fetch it as text"
            )
        at = match.end()
        count, unit, sign, hour, minute, second, fraction = match.groups()
        try:
            if unit:
                total += dt.timedelta(days=int(count) * _UNITS[unit])
            else:
                clock = dt.timedelta(0, int(second), int((fraction or "0").ljust(6, "0")), 0, int(minute), int(hour))
                total += -clock if sign == "-" else clock
        except OverflowError:
            raise ValueError(f"an interval of {text!r} is out of the range of Python's timedelta: fetch it as text") from None
    return total
