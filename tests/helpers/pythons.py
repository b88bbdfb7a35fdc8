# SPDX-License-Identifier: Apache-2.0
"""Interpreters of other versions, each with the packages that ttrpc's tests need."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final, NoReturn

import pytest

from kata_host.guest.image import store
from kata_host.guest.image.apt import AptError, AptSuite

ROOT: Final = Path(__file__).parents[2]
SUITE: Final = "forky"
"""Debian's suite with the newest versions; its packages bring their own libc."""
LIBRARIES: Final = "usr/lib/x86_64-linux-gnu"
LOADER: Final = f"{LIBRARIES}/ld-linux-x86-64.so.2"
NEEDED: Final = ("hypothesis", "pytest", "pytest-asyncio", "pytest-timeout", "uvloop")
"""Of the extra `dev`."""


def environment(version: str) -> Path:
    """Return the interpreter of an environment, which is kept from run to run."""
    wanted = _requirements()
    digest = hashlib.sha256("\n".join(wanted).encode()).hexdigest()[:12]
    kept = store.cache() / "pythons" / f"env-{version}-{digest}"
    if not kept.exists():
        base = _installed(version) or _unpacked(version)
        with tempfile.TemporaryDirectory(dir=_folder(kept.parent)) as scratch:
            made = Path(scratch, "env")
            _run(base, "-m", "venv", "--without-pip", made)
            pip = [sys.executable, "-m", "pip", "--python", made / "bin/python"]
            _run(*pip, "install", "--quiet", "--only-binary", ":all:", *wanted)
            _keep(made, kept)
    return kept / "bin" / "python"


def _requirements() -> list[str]:
    """Return what ttrpc and its tests need, as the two pyproject.toml have it."""
    ttrpc = tomllib.loads((ROOT / "ttrpc/pyproject.toml").read_text())
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())
    dev: list[str] = ours["project"]["optional-dependencies"]["dev"]
    named = [it for it in dev if re.split("[<>=]", it)[0] in NEEDED]
    return [*ttrpc["project"]["dependencies"], *named]


def _installed(version: str) -> Path | None:
    """Return the interpreter that the machine has, if there is one that starts."""
    name = f"python{version}"
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/{name}"))
    if (on_path := shutil.which(name)) is not None:
        found.append(Path(on_path))
    for program in found:
        done = subprocess.run([program, "--version"], capture_output=True)
        if done.returncode == 0:
            return program
    return None


def _unpacked(version: str) -> Path:
    """Return Debian's interpreter, which runs here by its own libraries."""
    kept = store.cache() / "pythons" / f"debian-{version}"
    if not kept.exists():
        suite = AptSuite(SUITE, store.cache() / "apt" / SUITE)
        try:
            suite.update()
            packages = suite.fetch([f"python{version}"])
        except AptError as error:
            _missing(str(error))
        with tempfile.TemporaryDirectory(dir=_folder(kept.parent)) as scratch:
            made = Path(scratch, "root")
            for package in packages:
                _run("dpkg-deb", "-x", package, made)
            patch = ["patchelf", "--set-interpreter", kept / LOADER]
            # Only this kind is for the libraries of extension modules too.
            patch += ["--force-rpath", "--set-rpath", kept / LIBRARIES]
            _run(*patch, made / f"usr/bin/python{version}")
            _keep(made, kept)
    return kept / f"usr/bin/python{version}"


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _keep(made: Path, kept: Path) -> None:
    """Move a folder to its place, where another run may have put the same."""
    try:
        made.rename(kept)
    except OSError:
        if not kept.exists():
            raise


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        _missing(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")


def _missing(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
