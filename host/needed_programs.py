# SPDX-License-Identifier: Apache-2.0
"""Programs that are not ours, and the Debian packages that have them."""

from __future__ import annotations

import os
import shutil
from typing import Final

PACKAGES: Final = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "mkfs.erofs": "erofs-utils",
    "xz": "xz-utils",
    "modprobe": "kmod",
    "depmod": "kmod",
    "tini-static": "tini",
}
"""By the program: its package, where that has another name."""


SYSTEM_DIRECTORIES: Final = ("/usr/sbin", "/sbin")
"""Where Debian has kmod's programs; the PATH of ordinary users lacks them."""


def search_path() -> str:
    """Return PATH, and after it the directories of the system's programs."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_DIRECTORIES])


def missing(*programs: str, path: str | None = None) -> str | None:
    """Return `crun: not found (package crun)` for those that are not there, or None.

    Looks along `path`, by default `search_path()`.
    """
    path = search_path() if path is None else path
    absent = [name for name in programs if shutil.which(name, path=path) is None]
    if not absent:
        return None
    packages = list(dict.fromkeys(PACKAGES.get(name, name) for name in absent))
    word = "package" if len(packages) == 1 else "packages"
    return f"{', '.join(absent)}: not found ({word} {', '.join(packages)})"
