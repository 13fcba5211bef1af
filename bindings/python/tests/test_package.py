"""What is installed: one shared object with the library inside, and what type checkers and lawyers look for."""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import distribution

OF_THE_SYSTEM = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def test_package():
    package = distribution("pgpoll")
    files = {file.name: package.locate_file(file) for file in package.files or ()}
    assert {"py.typed", "LICENSE-MIT", "LICENSE-APACHE"} <= files.keys()
    (extension,) = (path for name, path in files.items() if name.endswith(".so"))
    dynamic = subprocess.run(["readelf", "--dynamic", extension], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"NEEDED.*\[(?!libasan)(.*)\]", dynamic))  # `make test-python-asan` adds that one
    assert "libc.so.6" in needed
    assert needed <= OF_THE_SYSTEM
