# SPDX-License-Identifier: Apache-2.0
"""`python -m kata_host.guest.sharing JSON`: have a VM see volumes until a folder ends.

    a program ──> this server ──> virtiofsd, one for each volume
              <── one line of JSON: {"shared": [...]} or {"error": ...}

The volumes leave the VM when the folder is removed, whoever does that, and end with
QEMU. A virtiofsd that ends before leaves its guest with calls that never return, and
with processes that cannot be killed; so its server ends QEMU, and says why.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from kata_host.explain import explain
from kata_host.guest.guest import GuestError
from kata_host.guest.local_syscall import PR_SET_CHILD_SUBREAPER, prctl
from kata_host.guest.qmp import Qmp, QmpError
from kata_host.guest.sharing.folder_end import FolderEnd
from kata_host.guest.sharing.served_volume import ServedVolume
from kata_host.guest.sharing.share_request import SharedPath, ShareRequest
from kata_host.guest.sharing.virtiofsd import find_virtiofsd
from kata_host.guest.vm_command import QEMU, Sockets
from kata_host.starter import forget_starter

END_TIMEOUT: Final = 2.0
"""Seconds for QEMU to end after its connections have ended."""
_INTERVAL: Final = 0.05
_PEERCRED: Final = struct.Struct("3i")


def main() -> int:
    """Serve the volumes of the request in argv; return the exit status."""
    forget_starter()
    # A virtiofsd has a child, which is ours if it is left alone.
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    words = json.loads(sys.argv[1])
    paths = [SharedPath(**each) for each in words.pop("paths")]
    request = ShareRequest(paths=paths, **words)
    try:
        serve(request)
    except (GuestError, OSError) as error:
        report({"error": explain(error)})
        return 1
    return 0


def serve(request: ShareRequest) -> None:
    """Put the volumes into the VM, report them, and wait for their end.

    Raises `GuestError` and `OSError`.
    """
    program = find_virtiofsd()
    monitor = Path(request.monitor)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(FolderEnd(Path(request.folder)))
        stack.callback(os.close, _lock(Sockets(monitor.parent).servers))
        qemu = _qemu_of(monitor)
        stack.callback(os.close, qemu)
        stack.callback(_kill_children)
        volumes = []
        for path in request.paths:
            volume = ServedVolume(path, program, monitor.parent)
            stack.callback(volume.close)
            volumes.append(volume)
        try:
            with Qmp(monitor) as qmp:
                for volume in volumes:
                    volume.plug(qmp)
        except GuestError:
            _unplug(monitor, volumes, request.unplug_timeout)
            raise
        report({"shared": [asdict(volume.shared) for volume in volumes]})
        ended = _wait_for_end(qemu, folder, volumes)
        if ended is not None:
            _end_qemu(qemu, Sockets(monitor.parent).reason, ended)
        elif not select.select([qemu], [], [], 0)[0]:
            _unplug(monitor, volumes, request.unplug_timeout)


def report(words: object) -> None:
    """Write one line of JSON, then let go of the standard streams."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(words), flush=True)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_SH)
    return fd


def _qemu_of(monitor: Path) -> int:
    """Return a pidfd of the QEMU that listens at the monitor. Raises `GuestError`."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(monitor))
        except OSError as error:
            raise GuestError(f"{monitor}: {explain(error)}") from error
        size = _PEERCRED.size
        words = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        pid = _PEERCRED.unpack(words)[0]
        pidfd = os.pidfd_open(pid)
    # It may be ended, so it must not be whoever made the socket for it.
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    if not name or not QEMU.startswith(name):
        raise GuestError(f"{monitor}: not a monitor that {QEMU} listens at")
    return pidfd


def _wait_for_end(
    qemu: int, folder: FolderEnd, volumes: Sequence[ServedVolume]
) -> ServedVolume | None:
    """Wait for the end of QEMU or of the folder; return a volume that ended before."""
    poll = select.poll()
    for fd in (qemu, folder.fileno()):
        poll.register(fd, select.POLLIN)
    by_fd = {}
    for volume in volumes:
        poll.register(volume.pidfd, select.POLLIN)
        poll.register(volume.words, select.POLLIN)
        by_fd[volume.pidfd] = by_fd[volume.words] = volume
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if qemu in ready or folder.has_come():
            return None
        for fd in ready & by_fd.keys():
            volume = by_fd[fd]
            if fd == volume.pidfd:
                return volume
            # So that it never waits for a reader.
            if not volume.listen():
                poll.unregister(fd)


def _end_qemu(qemu: int, reason: Path, volume: ServedVolume) -> None:
    """End QEMU, unless QEMU has ended first and taken the volume with it."""
    if select.select([qemu], [], [], END_TIMEOUT)[0]:
        return
    reason.write_text(volume.ending())
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(qemu, signal.SIGKILL)


def _unplug(monitor: Path, volumes: Sequence[ServedVolume], timeout: float) -> None:
    """Take devices out of a VM, if it runs and its guest agrees in time."""
    by_tag = {volume.shared.tag: volume for volume in volumes}
    with contextlib.suppress(QmpError):
        with Qmp(monitor) as qmp:
            for tag in by_tag.keys() & _plugged(qmp):
                by_tag[tag].unplug(qmp)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            # Others need the monitor too, so the event is not waited for.
            with Qmp(monitor) as qmp:
                for tag in by_tag.keys() & _connected(qmp) - _plugged(qmp):
                    # QEMU lets go of the connection soon after the device is gone.
                    with contextlib.suppress(QmpError):
                        by_tag[tag].let_go(qmp)
                if not by_tag.keys() & _connected(qmp):
                    return
            time.sleep(_INTERVAL)


def _plugged(qmp: Qmp) -> set[str]:
    return {each["name"] for each in qmp("qom-list", path="/machine/peripheral")}


def _connected(qmp: Qmp) -> set[str]:
    return {each["label"] for each in qmp("query-chardev")}


def _kill_children() -> None:
    """End what a virtiofsd has left."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            for child in _children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            time.sleep(_INTERVAL)


def _children() -> list[int]:
    task = Path("/proc/self/task", str(os.getpid()), "children")
    return [int(word) for word in task.read_text().split()]


if __name__ == "__main__":
    sys.exit(main())
