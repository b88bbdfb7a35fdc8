# SPDX-License-Identifier: Apache-2.0
"""slirp4netns, which gives a local guest the user network (man 1 slirp4netns).

    guest's eth0 ── filter ── tap ── slirp4netns ── sockets in this host's network

The supervisor of a local guest starts it in the guest's pid namespace, so the kernel
ends it with the guest in any case. For all else it is a process of the host, in the
supervisor's cgroup. The kernel keeps the end of the guest back until the supervisor has
waited for it (man 7 pid_namespaces).

Debian 12's pasta, another program of this kind, joins no namespace if root starts it.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Sequence
from typing import Final

from kata_host.guest.frame_filter import filter_frames
from kata_host.guest.wait_status import describe
from kata_host.network import INTERFACE, MTU, SUBNET

PROGRAM: Final = "slirp4netns"
_READY_FD: Final = 3
_MESSAGES: Final = 4096
"""Bytes that are read of what the program has written."""
_SANDBOX: Final = ("/etc/", "/run/")
"""The directories that the program sees in its sandbox."""


class Slirp:
    """A slirp4netns that serves the network namespace of a process."""

    def __init__(self, program: str, guest: int, endings: Sequence[int]) -> None:
        """Start `program` for the namespace of the process `guest`.

        Returns once it serves. Raises `OSError` if it does not, or if one of the
        descriptors in `endings` is readable before.
        """
        self.failure: str | None = None
        """How the program has ended, once it is closed, if it had ended by itself."""
        ready, ready_writer = os.pipe2(os.O_CLOEXEC)
        # What it writes is kept as far as the pipe holds it, and dropped afterwards.
        self._messages, messages = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._pid = os.posix_spawn(
                program,
                _command(guest),
                {},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, null, 0),
                    (os.POSIX_SPAWN_DUP2, messages, 1),
                    (os.POSIX_SPAWN_DUP2, messages, 2),
                    (os.POSIX_SPAWN_DUP2, ready_writer, _READY_FD),
                ],
                setsigmask=[],
                setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
            )
        except OSError:
            os.close(ready)
            os.close(self._messages)
            raise
        finally:
            for fd in (messages, ready_writer, null):
                os.close(fd)
        self._pidfd = os.pidfd_open(self._pid)
        readable = select.select([ready, *endings], [], [])[0]
        is_ready = ready in readable and os.read(ready, 1)
        os.close(ready)
        if not is_ready:
            self.close()
            raise OSError(f"local guest: {self.failure or f'{PROGRAM}: not ready'}")
        try:
            # `--disable-host-loopback` holds for the gateway's address alone.
            filter_frames(self._pid, self._pidfd)
        except OSError as error:
            self.close()
            reason = self.failure or f"{PROGRAM}: filter of frames: {error}"
            raise OSError(f"local guest: {reason}") from error

    def fileno(self) -> int:
        """Return a descriptor that is readable once the program has ended."""
        return self._pidfd

    def close(self) -> None:
        """End the program and wait for its end."""
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        os.close(self._pidfd)
        lines = self._read_messages().splitlines()
        os.close(self._messages)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            self.failure = ": ".join([PROGRAM, describe(status), *lines[-1:]])

    def _read_messages(self) -> str:
        if not select.select([self._messages], [], [], 0)[0]:
            return ""
        return os.read(self._messages, _MESSAGES).decode(errors="replace")


def outside_options() -> list[str]:
    """Return the options of slirp4netns about this host."""
    # Services that listen on this host's loopback alone are no matter of a guest.
    options = ["--disable-host-loopback"]
    # In its sandbox, which only root can have made outside of a user namespace, it
    # would not find name servers that are elsewhere.
    if os.geteuid() == 0 and os.path.realpath("/etc/resolv.conf").startswith(_SANDBOX):
        options.append("--enable-sandbox")
    return options


def _command(guest: int) -> list[str]:
    command = [PROGRAM, "--netns-type=path", f"--ready-fd={_READY_FD}"]
    command += [*outside_options(), f"--cidr={SUBNET}", f"--mtu={MTU}"]
    return [*command, f"/proc/{guest}/ns/net", INTERFACE]
