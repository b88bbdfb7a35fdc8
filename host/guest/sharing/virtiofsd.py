# SPDX-License-Identifier: Apache-2.0
"""virtiofsd, which serves a directory of the host to a VM.

Debian 12 has the one of QEMU 7.2, in C (docs/tools/virtiofsd.rst there); Debian 13 has
the one in Rust, with most of the same options.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from kata_host.guest.guest import GuestError

OF_QEMU: Final = "/usr/lib/qemu/virtiofsd"
OF_ITS_OWN: Final = "/usr/libexec/virtiofsd"
_MISSING: Final = (
    "virtiofsd: not found (package virtiofsd; in Debian 12, qemu-system-common)"
)


def find_virtiofsd() -> str:
    """Return the path of the program. Raises `GuestError`."""
    for path in (OF_ITS_OWN, OF_QEMU):
        if os.access(path, os.X_OK):
            return path
    raise GuestError(_MISSING)


def virtiofsd_command(program: str, source: Path, listener: int) -> list[str]:
    """Return the command that serves `source` to the first client of a socket.

    The program ends when the client closes its connection. It has namespaces and a
    system call filter of its own, and no other files than those below `source`.
    """
    command = [program, f"--fd={listener}", "--rlimit-nofile=0"]
    if program == OF_QEMU:
        # A change of the host's, or of another container's, is seen at once; with the
        # cache `none`, files could not be mapped.
        words = ["cache=auto", "timeout=0", "sandbox=namespace", "log_level=err"]
        words += ["xattr", "announce_submounts", "modcaps=-mknod", f"source={source}"]
        return [*command, "-f", "-o", ",".join(words)]
    command += ["--cache=auto", "--sandbox=namespace", "--log-level=error"]
    command += ["--xattr", "--announce-submounts", "--modcaps=-mknod"]
    return [*command, f"--shared-dir={source}"]
