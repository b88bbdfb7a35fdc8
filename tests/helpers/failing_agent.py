# SPDX-License-Identifier: Apache-2.0
"""An agent in which chosen calls fail, as in a guest that has run out of something.

Run as a program, with the file of a `Failures` as its first argument, in place of
`python -m kata_agent`.
"""

from __future__ import annotations

import _thread
import builtins
import errno
import fcntl
import io
import mmap
import os
import selectors
import socket
import struct
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

_STATE: Final = struct.Struct("qqqq")
"""The number of the kind, the calls before the first that fails, the calls that fail,
those that have failed."""
KINDS: Final = ("descriptor", "thread", "process", "space", "memory")
_DESCRIPTOR_CALLS: Final = (
    "open pipe pipe2 dup memfd_create listdir scandir pidfd_open eventfd openpty"
).split()
_MEMORY_CALLS: Final = "mkdir mkfifo symlink rename posix_spawnp".split()
"""Those that need memory of the kernel, besides those that make a descriptor."""
_OPEN_TREE: Final = 428
_OPENAT2: Final = 437


class Failures:
    """Says which calls fail; the test and the agent share it through a file."""

    def __init__(self, file: Path) -> None:
        self.file: Final = file
        if not file.exists():
            file.write_bytes(bytes(_STATE.size))
        with open(file, "r+b") as opened:
            self._memory = mmap.mmap(opened.fileno(), _STATE.size)
        self._lock = threading.Lock()

    def close(self) -> None:
        self._memory.close()

    def plan(self, kind: str, before: int, count: int) -> None:
        """Let `count` calls of a kind fail, after `before` of them."""
        _STATE.pack_into(self._memory, 0, KINDS.index(kind) + 1, before, count, 0)

    def stop(self) -> int:
        """Let every call succeed again; return how many have failed."""
        failed: int = _STATE.unpack_from(self._memory)[3]
        self._memory[:] = bytes(_STATE.size)
        return failed

    def take(self, kind: str) -> bool:
        """Count a call; return whether it fails."""
        with self._lock:
            number, before, count, failed = _STATE.unpack_from(self._memory)
            if number != KINDS.index(kind) + 1 or failed == count:
                return False
            fails = before == 0
            state = (number, before - (not fails), count, failed + fails)
            _STATE.pack_into(self._memory, 0, *state)
            return fails


def _fail(number: int) -> None:
    raise OSError(number, os.strerror(number))


def _fail_to_start() -> None:
    raise RuntimeError("can't start new thread")


def _inject(failures: Failures) -> None:
    """Let the calls of this process fail as `failures` says."""
    from kata_agent.exit_watch import ExitWatch
    from kata_agent.linux import libc

    def replace(
        owner: Any,
        name: str,
        kind: str,
        fail: Callable[[], None],
        counts: Callable[..., bool] = lambda *args, **kwargs: True,
    ) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if counts(*args, **kwargs) and failures.take(kind):
                fail()
            return real(*args, **kwargs)

        setattr(owner, name, call)

    full = partial(_fail, errno.EMFILE)
    for name in _DESCRIPTOR_CALLS:
        replace(os, name, "descriptor", full)
    for owner in (io, builtins):
        replace(
            owner,
            "open",
            "descriptor",
            full,
            lambda file, *rest, **kwargs: not isinstance(file, int),
        )
    replace(
        fcntl,
        "fcntl",
        "descriptor",
        full,
        lambda fd, command, *rest: command == fcntl.F_DUPFD_CLOEXEC,
    )
    replace(
        socket.socket,
        "__init__",
        "descriptor",
        full,
        lambda self, *args, **kwargs: kwargs.get("fileno") is None and len(args) < 4,
    )
    replace(socket.socket, "_accept", "descriptor", full)
    replace(
        libc,
        "syscall",
        "descriptor",
        full,
        lambda number, *rest, **kwargs: number in (_OPENAT2, _OPEN_TREE),
    )
    replace(
        libc,
        "call",
        "descriptor",
        full,
        lambda function, *rest, **kwargs: function.endswith(("_init", "_init1")),
    )
    replace(_thread, "start_new_thread", "thread", _fail_to_start)
    for name in ("_start_new_thread", "_start_joinable_thread"):
        if hasattr(threading, name):
            replace(threading, name, "thread", _fail_to_start)
    replace(os, "posix_spawnp", "process", partial(_fail, errno.EAGAIN))
    no_memory = partial(_fail, errno.ENOMEM)
    for name in (*_DESCRIPTOR_CALLS, *_MEMORY_CALLS):
        replace(os, name, "memory", no_memory)
    for owner, name in ((selectors.EpollSelector, "register"), (ExitWatch, "add")):
        replace(owner, name, "memory", no_memory)
    # Mounts and unmounts too.
    for name in ("call", "syscall"):
        replace(libc, name, "memory", no_memory)
    no_space = partial(_fail, errno.ENOSPC)
    for name in "mkdir mkfifo symlink rename pwrite".split():
        replace(os, name, "space", no_space)
    replace(
        os,
        "open",
        "space",
        no_space,
        lambda path, flags, *rest, **kwargs: flags & os.O_CREAT,
    )
    for owner in (io, builtins):
        replace(
            owner,
            "open",
            "space",
            no_space,
            lambda file, mode="r", *rest, **kwargs: (
                mode[0] in "wax" and not isinstance(file, int)
            ),
        )


def main() -> None:
    # Not the directory of this file, whose modules would hide others.
    sys.path[0] = os.fspath(Path(__file__).parents[2] / "src")
    _inject(Failures(Path(sys.argv.pop(1))))
    from kata_agent.__main__ import main as run

    run()


if __name__ == "__main__":
    main()
