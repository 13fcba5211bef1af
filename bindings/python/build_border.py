"""What the extension is made of: libpgpoll.a, the C files of native/, and cffi's border to the rest of pgpoll.h.

One shared object holds two modules: pgpoll._border, which cffi writes, and pgpoll._native, which is ours.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import cffi

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def library() -> Path:
    """The static library: PGPOLL_LIB, or what `make` builds in the repository that this folder is in."""
    given = os.environ.get("PGPOLL_LIB")
    made = os.environ.get("CARGO_TARGET_DIR", "target") + "/lib/libpgpoll.a"
    path = Path(given) if given else ROOT / made
    if not given and (ROOT / "Makefile").exists() and shutil.which("cargo"):
        subprocess.run(["make", "--no-print-directory", "-C", ROOT, made], check=True)
    if not path.exists():
        raise SystemExit(f"{path} is missing. Build it with `make lib` (Rust comes from https://rustup.rs), or set PGPOLL_LIB.")
    return path


def declarations() -> str:
    """The header as cffi reads it: types, constants, functions."""
    text = (ROOT / "include" / "pgpoll.h").read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    text = re.sub(r"^#ifdef __cplusplus.*?^#endif[^\n]*$", "", text, flags=re.S | re.M)
    constants = re.findall(r"^#define (?:CONN|ARROW)_\w+ \d+$", text, flags=re.M)
    text = re.sub(r"^#[^\n]*$", "", text, flags=re.M)
    return "\n".join(constants) + text


border = cffi.FFI()
static = str(library())
border.cdef(declarations())
border.set_source(
    "pgpoll._border",
    '#include "pgpoll.h"',
    sources=[os.path.relpath(path, HERE) for path in sorted((HERE / "native").glob("*.c"))],
    include_dirs=[str(ROOT / "include"), str(HERE / "native")],
    depends=[static, *(str(path) for path in (HERE / "native").glob("*.h"))],
    extra_objects=[static],
    extra_compile_args=[
        "-std=c11",
        "-O2",
        "-fvisibility=hidden",
        "-Wall",
        "-Wextra",
        "-Wno-missing-field-initializers",
        "-Wno-cast-function-type",
    ],
    extra_link_args=["-Wl,--exclude-libs,ALL"],
    libraries=["m", "pthread", "dl", "gcc_s"],
    py_limited_api=False,
)
