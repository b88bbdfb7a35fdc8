# SPDX-License-Identifier: Apache-2.0
"""Start a program without forking the interpreter (man 3 posix_spawn).

glibc implements it with CLONE_VFORK, so the cost does not grow with our memory.
Exec closes everything but the three standard descriptors and `Command.keep`, because
Python opens all descriptors close-on-exec (PEP 446).
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

DEFAULT_ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}
"""The environment of helper programs and of the OCI runtime, never the agent's own."""

# Python ignores SIGPIPE, asyncio handles SIGCHLD, a background job ignores SIGINT; a
# program expects none of that.
_RESET_SIGNALS: Final = (
    signal.SIGPIPE,
    signal.SIGCHLD,
    signal.SIGXFSZ,
    signal.SIGINT,
    signal.SIGQUIT,
)


class Command(NamedTuple):
    """A program, its arguments, and the attributes that its process begins with."""

    argv: Sequence[str]
    stdin: int | None = None
    """A descriptor; None is `/dev/null`. So for `stdout` and `stderr`."""
    stdout: int | None = None
    stderr: int | None = None
    keep: Sequence[int] = ()
    """Descriptors that are inherited under their own numbers."""
    env: Mapping[str, str] | None = None
    """None is `DEFAULT_ENVIRONMENT`."""
    new_session: bool = False
    terminal: str = ""
    """The path of a terminal that replaces the three standard descriptors. That
    terminal becomes the controlling terminal of a new session."""
    sigpipe: bool = True
    """False to ignore SIGPIPE until the program says otherwise."""
    program: str = ""
    """A path, or a name in PATH; empty for `argv[0]`."""

    @property
    def executable(self) -> str:
        return self.program or self.argv[0]


def spawn(command: Command) -> int:
    """Start `command` and return its pid.

    Raises `OSError` with the program's name when it cannot be executed.
    """
    standard = (command.stdin, command.stdout, command.stderr)
    # Move the three out of the way first: one of them may itself be 0, 1 or 2.
    moved: list[int] = []
    try:
        for fd in standard:
            if fd is None:
                moved.append(os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC))
            elif fd <= 2:
                moved.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3))
            else:
                moved.append(fd)
        try:
            return os.posix_spawnp(
                command.executable,
                list(command.argv),
                dict(DEFAULT_ENVIRONMENT if command.env is None else command.env),
                file_actions=_file_actions(command, moved),
                setsigmask=(),
                setsigdef=_RESET_SIGNALS if command.sigpipe else _RESET_SIGNALS[1:],
                setsid=command.new_session or bool(command.terminal),
            )
        except OSError as error:
            raise type(error)(
                error.errno, f"cannot execute {command.executable!r}: {error.strerror}"
            ) from None
    finally:
        for given, fd in zip(standard, moved, strict=False):
            if fd != given:
                os.close(fd)


def _file_actions(
    command: Command, standard: Sequence[int]
) -> list[tuple[int, ...] | tuple[int, int, str, int, int]]:
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]]
    if command.terminal:
        # The leader of a session that has none gets the terminal by opening it
        # (man 4 tty); posix_spawn makes the session first.
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, command.terminal, os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
        ]
    else:
        actions = [
            (os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(standard)
        ]
    # glibc clears close-on-exec when source and target are the same.
    return [*actions, *((os.POSIX_SPAWN_DUP2, fd, fd) for fd in command.keep)]
