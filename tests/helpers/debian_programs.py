# SPDX-License-Identifier: Apache-2.0
"""Programs of Debian packages that this host need not have, run from a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kata_host.guest.image import store
from kata_host.guest.image.apt import AptSuite

SUITE: Final = "bookworm"
LOADER: Final = "lib64/ld-linux-x86-64.so.2"
LIBRARIES: Final = "lib/x86_64-linux-gnu"


def unpack(packages: list[str], tree: Path) -> Path:
    """Unpack packages with all that they need into the new directory `tree`."""
    suite = AptSuite(SUITE, store.cache() / "apt" / SUITE)
    if not list((store.cache() / "apt" / SUITE / "lists").glob("*Packages*")):
        suite.update()
    tree.mkdir()
    for package in suite.fetch(packages):
        subprocess.run(["dpkg-deb", "--extract", package, tree], check=True)
    return tree


def install(tree: Path, programs: Mapping[str, str], directory: Path) -> Path:
    """Make programs of `tree` that run with the libraries of `tree`."""
    directory.mkdir()
    search = f"{tree}/{LIBRARIES}:{tree}/usr/{LIBRARIES}"
    for name, path in programs.items():
        program = directory / name
        program.write_text(
            "#!/bin/sh\n"
            f'exec {tree}/{LOADER} --library-path {search} {tree}/{path} "$@"\n'
        )
        program.chmod(0o755)
    return directory
