# SPDX-License-Identifier: Apache-2.0
"""Start a program without forking the interpreter (man 3 posix_spawn).

glibc implements it with CLONE_VFORK, so the cost does not grow with our memory.
Everything but the three standard descriptors and `keep` is closed by exec,
because Python opens all descriptors close-on-exec (PEP 446).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from typing import Final

DEFAULT_ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}
"""What helper programs and the OCI runtime see; never the agent's own."""

# Python ignores SIGPIPE, asyncio handles SIGCHLD, a background job ignores SIGINT; a
# program expects none of that.
_RESET_SIGNALS: Final = (
    signal.SIGPIPE,
    signal.SIGCHLD,
    signal.SIGXFSZ,
    signal.SIGINT,
    signal.SIGQUIT,
)


def spawn(
    argv: Sequence[str],
    *,
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
    keep: Sequence[int] = (),
    env: Mapping[str, str] | None = None,
    new_session: bool = False,
    terminal: str = "",
    sigpipe: bool = True,
    program: str = "",
) -> int:
    """Start `argv` and return its pid.

    The program is `program`, or else `argv[0]`, found in PATH.

    A standard descriptor of None is `/dev/null`. Descriptors in `keep` are
    inherited under their own numbers. With a `terminal`, a path, all three are
    that, and it is the controlling terminal of a new session. Without `sigpipe`
    the program ignores that signal until it says otherwise. Raises `OSError`
    naming the program when it cannot be executed.
    """
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = []
    # Move the three out of the way first: one of them may itself be 0, 1 or 2.
    moved: list[int] = []
    try:
        for fd in (stdin, stdout, stderr):
            if fd is None:
                moved.append(os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC))
            elif fd <= 2:
                moved.append(_duplicate_above_standard(fd))
            else:
                moved.append(fd)
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(moved)]
        if terminal:
            # The leader of a session that has none gets the terminal by opening it
            # (man 4 tty); posix_spawn makes the session first.
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, terminal, os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
            ]
        # glibc clears close-on-exec when source and target are the same.
        actions += [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in keep]
        try:
            return os.posix_spawnp(
                program or argv[0],
                list(argv),
                dict(DEFAULT_ENVIRONMENT if env is None else env),
                file_actions=actions,
                setsigmask=(),
                setsigdef=_RESET_SIGNALS if sigpipe else _RESET_SIGNALS[1:],
                setsid=new_session or bool(terminal),
            )
        except OSError as error:
            raise type(error)(
                error.errno, f"cannot execute {program or argv[0]!r}: {error.strerror}"
            ) from None
    finally:
        for given, fd in zip((stdin, stdout, stderr), moved, strict=False):
            if fd != given:
                os.close(fd)


def _duplicate_above_standard(fd: int) -> int:
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
