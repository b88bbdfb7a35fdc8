# SPDX-License-Identifier: Apache-2.0
"""Our own packages in the guest: `/usr/lib/kata-agent` and the program.

    /usr/bin/kata-agent            starts the interpreter, with no site directory
    /usr/lib/kata-agent/source     kata_agent, kata_protos, kata_tracing, ttrpc
    /usr/lib/kata-agent/packages   their dependencies

If the sources have changed since the image was built, the new sources go into a guest
as a second cpio archive, which the initrd mounts over `source`. No build is needed
between an edit and a boot.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kata_host.child import PACKAGES

HOME: Final = "usr/lib/kata-agent"
IMPORT_NAMES: Final = ("kata_agent", "kata_protos", "kata_tracing", "ttrpc")

PROGRAM: Final = f"""\
#!/usr/bin/python3 -ISOO
import sys

sys.path[:0] = ["/{HOME}/source", "/{HOME}/packages"]

from kata_agent.__main__ import main

sys.exit(main())
"""


def files() -> Iterator[tuple[Path, str]]:
    """Yield every module of the guest's packages, and its name below `source`."""
    for package in IMPORT_NAMES:
        for path in sorted((PACKAGES / package).rglob("*.py")):
            yield path, path.relative_to(PACKAGES).as_posix()


def digest() -> str:
    """Return a SHA-256 in hex that changes whenever a module or the program does."""
    total = hashlib.sha256(PROGRAM.encode())
    for path, name in files():
        total.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def copy_source(target: Path) -> None:
    """Copy the guest's packages below `target`."""
    for path, name in files():
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def install_program(tree: Path) -> None:
    """Write the program `/usr/bin/kata-agent`, and `/sbin/init` as a link to it."""
    program = tree / "usr/bin/kata-agent"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    init = tree / "usr/sbin/init"
    init.unlink(missing_ok=True)
    init.symlink_to("../bin/kata-agent")
