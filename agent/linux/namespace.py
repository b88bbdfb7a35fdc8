# SPDX-License-Identifier: Apache-2.0
"""Make namespaces and keep them alive (man 7 namespaces).

Namespaces belong to a thread. Functions that change them run in a thread of their
own, which ends afterwards, so that the agent itself never changes namespaces.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from kata_agent.linux import libc
from kata_agent.linux.mount import (
    MNT_DETACH,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    mount,
    unmount,
)

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

T = TypeVar("T")


def unshare(flags: int) -> None:
    """Move the calling thread into new namespaces (man 2 unshare)."""
    libc.call("unshare", flags)


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace open at `fd` (man 2 setns)."""
    libc.call("setns", fd, kind)


def set_hostname(name: str) -> None:
    """Set the hostname of the calling thread's uts namespace."""
    encoded = name.encode()
    libc.call("sethostname", encoded, len(encoded))


def in_new_thread(function: Callable[[], T]) -> T:
    """Run `function` in a thread that ends afterwards, and wait for it.

    Raises `OSError` (EAGAIN) if there is no place for one more thread.
    """
    result: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            result.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from error
    thread.join()
    if errors:
        raise errors[0]
    return result[0]


def pin_new(kind: int, file: Path, prepare: Callable[[], None] | None = None) -> None:
    """Make a namespace of `kind` (one CLONE_NEW flag) and pin it on `file`.

    `prepare` runs inside the new namespace before it is pinned.
    """

    def make() -> None:
        unshare(kind)
        if prepare is not None:
            prepare()
        name = {CLONE_NEWIPC: "ipc", CLONE_NEWUTS: "uts", CLONE_NEWNET: "net"}[kind]
        mount(f"/proc/thread-self/ns/{name}", file, "", MS_BIND)

    in_new_thread(make)


def run_isolated(start: Callable[[], int], root: Path, *, pivot_root: bool) -> int:
    """Call `start`, whose child becomes PID 1 of a new pid namespace; return its pid.

    The child also gets a mount namespace of its own. Once `start` has returned, its
    root and working directory are an empty file system mounted on `root`, because
    pivot_root moves every process that has the old ones (man 2 pivot_root, NOTES). If
    that fails, the child is killed.
    """

    def enter_and_start() -> int:
        # Only later children are in the new pid namespace (man 2 unshare).
        unshare(CLONE_NEWPID | CLONE_NEWNS)
        mount("", "/", "", MS_REC | MS_PRIVATE)
        flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
        mount("tmpfs", root, "tmpfs", flags)
        os.chdir("/")
        pid = start()
        try:
            if pivot_root:
                os.chdir(root)
                libc.call("pivot_root", b".", b".")
                unmount(".", MNT_DETACH)
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            raise
        return pid

    return in_new_thread(enter_and_start)


def pid_namespace_of(pid: int, proc: Path = Path("/proc")) -> Path:
    """Return the magic link of the pid namespace that `pid` lives in."""
    return proc / str(pid) / "ns" / "pid"


def is_same(first: Path, second: Path) -> bool:
    """Whether two namespace files are the same namespace."""
    return os.path.samestat(os.stat(first), os.stat(second))
