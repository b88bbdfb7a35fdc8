# SPDX-License-Identifier: Apache-2.0
"""The namespaces that the containers of a sandbox share.

ipc and uts are made with the sandbox, pid when the first container asks for it. A bind
mount pins each of them (man 7 namespaces), so that they outlive every container.
Containers join these files, never those in the `/proc` of another container.

A pid namespace ends with its PID 1, the pause process: the kernel kills every process
in it and lets none begin (man 7 pid_namespaces). The containers that shared it are
stopped then, by SIGKILL, and the next one that asks for it gets a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.boot.root import can_pivot_root
from kata_agent.child import Child
from kata_agent.container.oom_score import set_oom_score
from kata_agent.errors import InvalidArgument, Unavailable
from kata_agent.linux.mount import MNT_DETACH, MS_BIND, mount, unmount
from kata_agent.linux.namespace import (
    CLONE_NEWIPC,
    CLONE_NEWUTS,
    pid_namespace_of,
    pin_new,
    set_hostname,
)
from kata_agent.oci.spec import Spec
from kata_agent.reaper import Reaper
from kata_agent.sandbox.pause import start_pause
from kata_agent.system_paths import SystemPaths
from kata_tracing.span import span

log = logging.getLogger(__name__)

PAUSE_OOM_SCORE: Final = -1000
"""The pause process is never killed when memory runs out (man 5 proc), because all
containers of its namespace would be killed with it."""
HOSTNAME_LIMIT: Final = 64
"""Bytes (man 2 sethostname)."""
_OWN: Final = ("mount", "cgroup", "user")
"""Kinds that a container never shares."""


class PidNamespace(enum.Enum):
    """The pid namespace that a container runs in."""

    OWN = enum.auto()
    SHARED = enum.auto()
    """One for all containers of the sandbox that ask for it."""
    AGENT = enum.auto()
    """The agent's own (`agent_pidns` of Kata 1.x)."""


class SandboxNamespaces:
    """Pins the shared namespaces, unpins them, and puts them into specs."""

    def __init__(self, paths: SystemPaths, reaper: Reaper) -> None:
        self._paths = paths
        self._directory = paths.namespaces
        self._proc = paths.proc
        self._reaper = reaper
        self._files: list[Path] = []
        """Those that were made to pin a namespace."""
        self._pinned: list[Path] = []
        self._pause: Child | None = None
        self._pid_lock = asyncio.Lock()
        self._hostname = ""

    async def pin(self, hostname: str) -> None:
        """Make the shared ipc and uts namespaces; the latter gets `hostname`.

        Raises `InvalidArgument` for a hostname that is too long or has a NUL.
        """
        if len(hostname.encode()) > HOSTNAME_LIMIT:
            raise InvalidArgument(
                f"hostname {hostname[:HOSTNAME_LIMIT]!r}...: "
                f"over {HOSTNAME_LIMIT} bytes"
            )
        if "\0" in hostname:
            raise InvalidArgument(f"hostname {hostname!r}: a NUL character")
        self._hostname = hostname
        named = (lambda: set_hostname(hostname)) if hostname else None
        await self._pin_new(CLONE_NEWIPC, "ipc", None)
        await self._pin_new(CLONE_NEWUTS, "uts", named)

    async def _pin_new(
        self, kind: int, name: str, prepare: Callable[[], None] | None
    ) -> None:
        file = self._make_file(name)
        await blocking(pin_new, kind, file, prepare)
        self._pinned.append(file)

    def _make_file(self, name: str) -> Path:
        self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        file = self._directory / name
        self._files.append(file)
        file.touch(mode=0o444)
        return file

    async def share_pid(self) -> None:
        """Make the shared pid namespace, if there is none yet or it has ended."""
        async with self._pid_lock:
            if not self.has_pid:
                with span("namespace.share_pid", subsystem="sandbox"):
                    await self._end_pause()
                    await self._start_pause()

    @property
    def has_pid(self) -> bool:
        """Whether there is a shared pid namespace in which processes can begin."""
        if self._pause is not None:
            # Its exit may not have been collected yet.
            self._pause.poll()
        is_pinned = self._directory / "pid" in self._pinned
        return is_pinned and self._pause is not None and self._pause.exit_code is None

    async def _start_pause(self) -> None:
        root = self._directory / "pause"
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with self._reaper.expecting():
                pid = await blocking(
                    start_pause, root, pivot_root=can_pivot_root(self._paths)
                )
                pause = self._pause = self._reaper.adopt(pid)
        finally:
            root.rmdir()
        pause.on_exit(lambda exit_code: self._pause_ended(pause, exit_code))
        try:
            set_oom_score(self._proc, pid, PAUSE_OOM_SCORE)
            file = self._make_file("pid")
            namespace = pid_namespace_of(pid, self._proc)
            await blocking(mount, str(namespace), file, "", MS_BIND)
        except OSError as error:
            await self._end_pause()
            raise Unavailable(f"pause process: not pinned: {error}") from error
        self._pinned.append(file)

    def _pause_ended(self, pause: Child, exit_code: int) -> None:
        if pause is self._pause:
            log.error(
                "pause process ended, and the containers of its pid namespace with it",
                extra={"pid": pause.pid, "exit_code": exit_code},
            )

    async def _end_pause(self) -> None:
        """End the pause process and its namespace; none is fine."""
        pause, self._pause = self._pause, None
        if pause is not None:
            with contextlib.suppress(ProcessLookupError):
                pause.send_signal(signal.SIGKILL)
            await pause.wait()
        await self._unpin(self._directory / "pid")

    async def _unpin(self, file: Path) -> None:
        """Unpin one namespace; none is fine."""
        if file in self._pinned:
            await blocking(unmount, file, MNT_DETACH)
            self._pinned.remove(file)
        if file in self._files:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file)
            self._files.remove(file)

    async def unpin(self) -> None:
        """Unpin the namespaces; each ends with its last process."""
        if self._pause is None and not self._files:
            return
        with span("namespace.unpin", subsystem="sandbox"):
            await self._end_pause()
            while self._files:
                await self._unpin(self._files[-1])

    def apply(self, spec: Spec, *, pid: PidNamespace, unified: bool) -> None:
        """Rewrite a spec's namespaces; `unified` is whether the guest has cgroup v2.

        The network and the time are the guest's. Raises `InvalidArgument` for a path
        to a namespace of a kind that is never shared, because the path could lead to
        the agent's own.
        """
        kept = []
        for namespace in spec["linux"]["namespaces"]:
            kind = namespace["type"]
            # Not that of time: docker asks for its host's by default (29.5), and Kata
            # before 3.32 sends that without the path. runc 1.1 refuses the kind.
            if kind in _OWN:
                if namespace.get("path"):
                    raise InvalidArgument(
                        f"namespace {kind!r}: path {namespace['path']!r}, "
                        "but a container never joins one of this kind"
                    )
                kept.append(namespace)
        kinds = {namespace["type"] for namespace in kept}
        # Without a mount namespace the runtime would mount in the agent's own; without
        # a cgroup namespace a container sees the whole tree of a v2 hierarchy.
        kept += [{"type": "mount"}] if "mount" not in kinds else []
        kept += [{"type": "cgroup"}] if unified and "cgroup" not in kinds else []
        kept += [self._shared("ipc"), self._shared("uts")]
        if pid is PidNamespace.SHARED:
            kept.append(self._shared("pid"))
        elif pid is PidNamespace.OWN:
            kept.append({"type": "pid"})
        spec["linux"]["namespaces"] = kept
        if self._hostname:
            # The runtime would rename the whole sandbox.
            spec.pop("hostname", None)

    def _shared(self, name: str) -> Spec:
        """Return the pinned namespace, or a new one if there was no CreateSandbox."""
        file = self._directory / name
        return (
            {"type": name, "path": str(file)}
            if file in self._pinned
            else {"type": name}
        )
