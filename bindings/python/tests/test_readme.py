"""The programs of README.md, and the one of the repository's, do what they say."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pgpoll


def programs(folder: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.S)


BINDING = Path(__file__).parent.parent
BLOCKS = programs(BINDING)


def test_the_quick_start():
    (program,) = programs(BINDING.parent.parent)
    done = subprocess.run([sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[:3] == ["Mars 2", "Saturn 274", "[0, 2, 4, 6, 8]"]
    assert lines[3].endswith("and still good")


def test_the_first_program():
    done = subprocess.run([sys.executable, "-X", "dev", "-c", BLOCKS[0]], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["Mars", "2"], ["Saturn", "274"]]
    assert lines[2] == "23505 planets_pkey Key (name)=(Mars) already exists."


def test_the_program_of_trio():
    program = next(block for block in BLOCKS if "trio.run" in block)
    done = subprocess.run([sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert sorted(map(int, done.stdout.split())) == [number * number for number in range(10)]


def test_the_others():
    names: dict = {"asyncio": asyncio, "pgpoll": pgpoll}
    for block in BLOCKS[1:]:
        if "trio.run" not in block and "import sqlalchemy" not in block:
            exec(block, names)

    async def test():
        async with await pgpoll.connect() as connection:
            assert await names["many"](connection) == [number * 2 for number in range(100)]
            assert await names["in_time"](connection) == "still good"
            assert await names["more"](connection) == sum(range(10_000))

    asyncio.run(test())


def test_the_program_of_sqlalchemy():
    pytest.importorskip("sqlalchemy")
    names: dict = {}
    exec(next(block for block in BLOCKS if "import sqlalchemy" in block), names)
    assert asyncio.run(names["with_sqlalchemy"]()) == sum(range(10_001))
