# SPDX-License-Identifier: Apache-2.0
"""Programs that are not ours, and the Debian packages that have them."""

from __future__ import annotations

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
}
"""By the program: its package, where that has another name."""


def missing(*programs: str, path: str | None = None) -> str | None:
    """Return `crun: not found (package crun)` for the first that is not there.

    Looks along `path`, by default PATH.
    """
    for program in programs:
        if shutil.which(program, path=path) is None:
            package = PACKAGES.get(program, program)
            return f"{program}: not found (package {package})"
    return None
