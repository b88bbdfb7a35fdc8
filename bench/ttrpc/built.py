# SPDX-License-Identifier: Apache-2.0
"""Builds the servers in C and Rust, once for each state of their sources.

The programs are kept in the user's cache; `Cargo.lock` pins the crates.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
FLOOR: Final = FOLDER / "floor"
RUST: Final = FOLDER / "rust"
FLAGS: Final = ("-O2", "-Wall", "-Wextra", "-Werror", "-pthread")


def floor_program() -> Path:
    """Return the floor's program.

    Raises:
        RuntimeError: it cannot be built; the compiler's errors are in the message.
    """
    return _kept("floor", FLOOR, _build_floor)


def rust_program() -> Path:
    """Return the program on the crate `ttrpc`; its first build takes a minute or two.

    Raises:
        RuntimeError: it cannot be built; cargo's errors are in the message.
    """
    return _kept("rust-peer", RUST, _build_rust)


def crate_version(name: str) -> str:
    """Return the version of a crate that the program in Rust is built with."""
    lock = tomllib.loads((RUST / "Cargo.lock").read_text())
    [found] = [crate["version"] for crate in lock["package"] if crate["name"] == name]
    return str(found)


def _build_floor(scratch: Path) -> Path:
    program = scratch / "floor"
    _run(["gcc", *FLAGS, "-o", str(program), str(FLOOR / "floor.c")])
    return program


def _build_rust(scratch: Path) -> Path:
    manifest = ["--manifest-path", str(RUST / "Cargo.toml")]
    target = ["--target-dir", str(scratch)]
    _run(["cargo", "build", "--release", "--locked", *manifest, *target])
    return scratch / "release" / "rust-peer"


def _kept(name: str, sources: Path, build: Callable[[Path], Path]) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = cache / "ttrpc-bench"
    directory.mkdir(parents=True, exist_ok=True)
    program = directory / f"{name}-{_hash(sources)}"
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            scratch = directory / f"{name}.building"
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            # Renaming is what makes a program that is there a whole one.
            os.rename(build(scratch), program)
            shutil.rmtree(scratch)
    return program


def _hash(sources: Path) -> str:
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for path in sorted(path for path in sources.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(sources)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stderr.strip()}")
