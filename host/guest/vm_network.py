# SPDX-License-Identifier: Apache-2.0
"""The user network of a VM: QEMU's own, in a network namespace with one way out.

    guest ── QEMU's network ── namespace ── slirp4netns ── this host's network

QEMU connects a guest that asks for the gateway, or for 127.0.0.1, to its own loopback.
In the namespace, that is one at which nothing listens. The namespace's way out is
slirp4netns (man 1), as a local guest's is, which closes this host's loopback.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from kata_host.guest.slirp import PROGRAM, outside_options
from kata_host.needed_programs import missing, search_path

SUBNET: Final = "10.0.3.0/24"
"""Of the namespace; what QEMU shows the guest is `kata_host.network`."""
NAME_SERVER: Final = "10.0.3.3"
"""slirp4netns's, which hands questions on to this host's."""
MTU: Final = 65520
"""Large packets cost the least; no cable is between the two."""
NAMESPACES: Final = ("--net", "--mount", "--propagation=slave")
OF_A_USER: Final = ("--user", "--map-root-user")
"""Whoever is not root has the right to make the others in a user namespace."""
_RUN: Final = 'mount --bind -- "$0" /etc/resolv.conf && exec "$@"'
READY_TIMEOUT: Final = 10.0


class VmNetwork:
    """The way out of one QEMU, in a directory of the guest."""

    def __init__(self, directory: Path) -> None:
        """Find slirp4netns. Raises `FileNotFoundError` if it is not there."""
        if fault := missing(PROGRAM):
            raise FileNotFoundError(fault)
        self._resolv_conf = directory / "resolv.conf"
        self.process: subprocess.Popen[bytes] | None = None
        """slirp4netns, once it is started."""
        self._alive = -1

    def command(self) -> list[str]:
        """Return the program that makes the namespaces and runs its arguments there."""
        self._resolv_conf.write_text(f"nameserver {NAME_SERVER}\n")
        user = () if os.geteuid() == 0 else OF_A_USER
        shell = ("sh", "-c", _RUN, os.fspath(self._resolv_conf))
        return ["unshare", *user, *NAMESPACES, "--", *shell]

    def start(self, qemu: int, log: BinaryIO) -> None:
        """Connect the namespaces of the process `qemu`, where QEMU runs already.

        Raises `OSError` if slirp4netns does not serve it.
        """
        program = shutil.which(PROGRAM, path=search_path())
        assert program is not None
        # It ends with the last descriptor of the other end: with this process.
        alive, self._alive = os.pipe2(os.O_CLOEXEC)
        ready, ready_writer = os.pipe2(os.O_CLOEXEC)
        try:
            self.process = subprocess.Popen(
                [program, *_options(qemu, ready_writer, alive)],
                pass_fds=(ready_writer, alive),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            os.close(ready_writer)
            ready_writer = -1
            if not select.select([ready], [], [], READY_TIMEOUT)[0]:
                raise TimeoutError(f"{PROGRAM}: not ready after {READY_TIMEOUT:g} s")
            if not os.read(ready, 1):
                raise ChildProcessError(f"{PROGRAM}: status {self.process.wait()}")
        finally:
            for fd in (alive, ready, ready_writer):
                if fd >= 0:
                    os.close(fd)

    def close(self) -> None:
        """End slirp4netns, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if self._alive >= 0:
            os.close(self._alive)
            self._alive = -1
        with contextlib.suppress(FileNotFoundError):
            self._resolv_conf.unlink()


def _options(qemu: int, ready: int, alive: int) -> Sequence[str]:
    namespaces = f"/proc/{qemu}/ns"
    options = ["--configure", f"--ready-fd={ready}", f"--exit-fd={alive}"]
    options += [*outside_options(), f"--cidr={SUBNET}", f"--mtu={MTU}"]
    if os.geteuid() != 0:
        options.append(f"--userns-path={namespaces}/user")
    return [*options, "--netns-type=path", f"{namespaces}/net", "tap0"]
