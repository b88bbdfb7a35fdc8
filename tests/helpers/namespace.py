# SPDX-License-Identifier: Apache-2.0
"""Run a test as PID 1 of namespaces of its own, with one cgroup version mounted.

    @in_namespaces("v1", "v2")
    async def test_something(world: World) -> None: ...

Each run forks: the child enters new mount, pid, net, uts, ipc and cgroup
namespaces, below a cgroup made for it, and runs the coroutine in an event loop
of its own. When it ends, the kernel kills the rest of the pid namespace and
drops the mounts, and the parent removes the cgroups: nothing of the machine
changes, also when the test fails or hangs.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import inspect
import itertools
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

CGROUP_ROOT: Final = Path("/sys/fs/cgroup")
CLONE_NEWNS: Final = 0x00020000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 1 << 18
TEST_SECONDS: Final = 60
"""A test that takes longer is killed, with its whole pid namespace."""

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class World:
    """The objects that a test inside the namespaces may use."""

    version: str
    """`v1` or `v2`: the version that is mounted on `/sys/fs/cgroup`."""


Test = Callable[..., Coroutine[Any, Any, None]]


def in_namespaces(*versions: str) -> Callable[[Test], Callable[..., None]]:
    """Run the coroutine once for each cgroup version, in namespaces of its own."""

    def decorate(test: Test) -> Callable[..., None]:
        @functools.wraps(test)
        def run(cgroup_version: str, **fixtures: Any) -> None:
            require_root()
            if not _is_available(cgroup_version):
                pytest.skip(f"no cgroup {cgroup_version} hierarchy on this machine")
            world = World(cgroup_version)
            run_in_namespaces(
                cgroup_version, lambda: asyncio.run(test(world, **fixtures))
            )

        # pytest reads the fixtures' names here, and must not see a coroutine.
        names = [name for name in inspect.signature(test).parameters if name != "world"]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
                for name in ["cgroup_version", *names]
            ]
        )
        del run.__wrapped__
        mark = pytest.mark.parametrize("cgroup_version", versions or ("v1", "v2"))
        decorated: Callable[..., None] = pytest.mark.root(mark(run))
        return decorated

    return decorate


def require_root() -> None:
    """Skip without root; in CI that is a failure."""
    if os.geteuid() == 0:
        return
    if os.environ.get("CI"):
        pytest.fail("needs root and namespaces of its own")
    pytest.skip("needs root and namespaces of its own")


def run_in_namespaces(version: str, body: Callable[[], None]) -> None:
    """Run `body` as PID 1 of new namespaces; its failure becomes ours."""
    with _own_cgroups() as cgroups:
        report, answer = os.pipe()
        # The child is a session of its own, so that a test which hangs up a
        # terminal or signals its group reaches no process outside.
        sys.stdout.flush()
        sys.stderr.flush()
        outer = os.fork()
        if outer == 0:
            os.close(report)
            _outer_child(version, cgroups, body, answer)
        os.close(answer)
        try:
            text = _read_report(report, outer)
        finally:
            os.close(report)
            os.waitpid(outer, 0)
    if text is None:
        pytest.fail(f"killed after {TEST_SECONDS} s", pytrace=False)
    if text != "passed":
        if text.startswith("skipped:"):
            pytest.skip(text.removeprefix("skipped:"))
        pytest.fail(text or "died without a report", pytrace=False)


def _read_report(report: int, outer: int) -> str | None:
    chunks: list[bytes] = []
    deadline = time.monotonic() + TEST_SECONDS
    while True:
        ready, _, _ = select.select(
            [report], [], [], max(0.0, deadline - time.monotonic())
        )
        if not ready:
            os.kill(outer, signal.SIGKILL)
            return None
        chunk = os.read(report, 65536)
        if not chunk:
            return b"".join(chunks).decode(errors="replace")
        chunks.append(chunk)


def _outer_child(
    version: str, cgroups: list[Path], body: Callable[[], None], answer: int
) -> None:
    """Enter the namespaces and fork PID 1 of the new pid namespace; never returns."""
    try:
        os.setsid()
        for cgroup in cgroups:
            (cgroup / "cgroup.procs").write_text(str(os.getpid()))
        _libc(
            "unshare",
            CLONE_NEWNS
            | CLONE_NEWCGROUP
            | CLONE_NEWUTS
            | CLONE_NEWIPC
            | CLONE_NEWPID
            | CLONE_NEWNET,
        )
        # PR_SET_PDEATHSIG: PID 1 dies with us, and its namespace with it.
        inner = os.fork()
        if inner == 0:
            _libc("prctl", 1, signal.SIGKILL, 0, 0, 0)
            _inner_child(version, body, answer)
        os.close(answer)
        os.waitpid(inner, 0)
        os._exit(0)
    except BaseException:
        _report(answer, traceback.format_exc())
        os._exit(1)


def _inner_child(version: str, body: Callable[[], None], answer: int) -> None:
    try:
        _mount_world(version)
        body()
    except pytest.skip.Exception as skip:
        _report(answer, f"skipped:{skip.msg}")
    except BaseException:
        _report(answer, traceback.format_exc())
    else:
        _report(answer, "passed")
    os._exit(0)


def _report(answer: int, text: str) -> None:
    with contextlib.suppress(OSError), os.fdopen(answer, "wb") as stream:
        stream.write(text.encode())


def _mount_world(version: str) -> None:
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    controllers = [
        line.split()[0]
        for line in Path("/proc/cgroups").read_text().splitlines()[1:]
        if line.split()[1] != "0"
    ]
    hierarchies = _hierarchies()
    secure = MS_NOSUID | MS_NODEV | MS_NOEXEC
    _mount("proc", "/proc", "proc", secure)
    _mount("sysfs", "/sys", "sysfs", secure)
    _mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV)
    if version == "v2":
        _mount("cgroup2", os.fspath(CGROUP_ROOT), "cgroup2", secure)
        return
    _mount("tmpfs", os.fspath(CGROUP_ROOT), "tmpfs", secure, "mode=755")
    for controller in controllers:
        target = CGROUP_ROOT / controller
        target.mkdir()
        _mount("cgroup", os.fspath(target), "cgroup", secure, controller)
    if any(path.name == "systemd" for path in hierarchies):
        # runc looks for every hierarchy that /proc/self/cgroup names.
        target = CGROUP_ROOT / "systemd"
        target.mkdir()
        _mount("cgroup", os.fspath(target), "cgroup", secure, "none,name=systemd")


@contextlib.contextmanager
def _own_cgroups() -> Iterator[list[Path]]:
    """A new cgroup in every hierarchy of the machine, removed afterwards."""
    name = f"agent-test-{os.getpid()}-{next(_numbers)}"
    made = []
    try:
        for parent in _hierarchies():
            cgroup = parent / name
            cgroup.mkdir()
            made.append(cgroup)
            if parent.name == "cpuset":
                # A v1 cpuset takes no process before it has CPUs and nodes.
                for file in ("cpuset.cpus", "cpuset.mems"):
                    (cgroup / file).write_text((parent / file).read_text())
        yield made
    finally:
        for cgroup in made:
            _remove_tree(cgroup)


def _hierarchies() -> list[Path]:
    if (CGROUP_ROOT / "cgroup.controllers").exists():
        return [CGROUP_ROOT]
    return [
        path
        for path in sorted(CGROUP_ROOT.iterdir())
        if (path / "cgroup.procs").exists()
    ]


def _is_available(version: str) -> bool:
    if version == "v2":
        return any((path / "cgroup.controllers").exists() for path in _hierarchies())
    return not (CGROUP_ROOT / "cgroup.controllers").exists()


def _remove_tree(cgroup: Path) -> None:
    deadline = time.monotonic() + 5
    for directory, _, _ in os.walk(cgroup, topdown=False):
        while True:
            try:
                os.rmdir(directory)
                break
            except FileNotFoundError:
                break
            except OSError:
                # The last process is dead but not yet uncharged.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)


def _mount(
    source: str, target: str, fstype: str | None, flags: int, data: str | None = None
) -> None:
    _libc(
        "mount",
        source.encode(),
        target.encode(),
        None if fstype is None else fstype.encode(),
        ctypes.c_ulong(flags),
        None if data is None else data.encode(),
    )


def _libc(function: str, *args: Any) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*args) == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{function}: {os.strerror(code)}")
