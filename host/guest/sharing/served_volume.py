# SPDX-License-Identifier: Apache-2.0
"""One volume in a VM: its virtiofsd, and the device that QEMU connects to it.

    virtiofsd <── listener ── connection ──> QEMU: chardev, vhost-user-fs-pci

The connection is made before QEMU has it, so virtiofsd never waits for a client: it
ends with the connection, however the other programs end. The devices are behind the PCI
bridge, where the guest has to agree to a removal.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
from pathlib import Path
from typing import Final, NoReturn

from kata_host.explain import explain
from kata_host.guest.guest import GuestError
from kata_host.guest.qmp import Qmp, QmpError
from kata_host.guest.sharing.private_tree import FILE, enter_private_tree
from kata_host.guest.sharing.share_request import Shared, SharedPath
from kata_host.guest.sharing.virtiofsd import virtiofsd_command
from kata_host.guest.vm_command import BRIDGE
from kata_host.starter import default_all_signals

_QUEUE: Final = 1024
"""Requests of the guest at a time; the most that QEMU allows."""
_WORDS: Final = 4096
"""Bytes that are kept of what virtiofsd says."""


class ServedVolume:
    """A path of the host in a VM."""

    def __init__(self, path: SharedPath, program: str, directory: Path) -> None:
        """Start virtiofsd, with a socket in `directory` for a moment.

        Raises `GuestError` and `OSError`.
        """
        self.path = path
        self.shared = Shared(f"volume-{os.urandom(4).hex()}", _file_of(path))
        self._said = b""
        self._status: int | None = None
        with contextlib.ExitStack() as stack:
            self.words, words = os.pipe()
            """The standard error of virtiofsd."""
            stack.callback(os.close, self.words)
            os.set_blocking(self.words, False)
            with (
                open(words, "wb", 0),
                socket.socket(socket.AF_UNIX) as listener,
            ):
                self._connection = _connected(listener, directory / self.shared.tag)
                stack.callback(self._connection.close)
                self.pid = _start(path, program, listener, words)
            self.pidfd = os.pidfd_open(self.pid)
            stack.pop_all()

    def plug(self, qmp: Qmp) -> None:
        """Plug the device in, which is in the guest some time later.

        Raises `GuestError`; QEMU has nothing of it then.
        """
        tag = self.shared.tag
        qmp.give_descriptor(tag, self._connection.fileno())
        address = {"type": "fd", "data": {"str": tag}}
        backend = {"type": "socket", "data": {"addr": address, "server": False}}
        qmp("chardev-add", id=tag, backend=backend)
        # QEMU has the only other end from now on.
        self._connection.close()
        size = {"queue-size": _QUEUE}
        try:
            qmp(
                "device_add",
                driver="vhost-user-fs-pci",
                id=tag,
                chardev=tag,
                tag=tag,
                bus=BRIDGE,
                **size,
            )
        except QmpError as error:
            fault = self.said or error
            with contextlib.suppress(QmpError):
                qmp("chardev-remove", id=tag)
            raise GuestError(f"{self}: {fault}") from error

    def unplug(self, qmp: Qmp) -> None:
        """Ask the guest to let the device go. Raises `QmpError`."""
        qmp("device_del", id=self.shared.tag)

    def let_go(self, qmp: Qmp) -> None:
        """Have QEMU close the connection of a device that is gone."""
        qmp("chardev-remove", id=self.shared.tag)

    def listen(self) -> bool:
        """Take what virtiofsd has written; tell whether more may come."""
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self.words, _WORDS):
                self._said = (self._said + more)[-_WORDS:]
            return False
        return True

    @property
    def said(self) -> str:
        """The last line that virtiofsd has written, or nothing."""
        self.listen()
        lines = self._said.decode(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "")

    def ending(self) -> str:
        """Return one line about the end of virtiofsd, which has come."""
        status = self._reap()
        how = f"was killed by signal {-status}" if status < 0 else "has ended"
        words = f": {self.said}" if self.said else ""
        return f"virtiofsd of {self.path.source!r} {how}{words}"

    def close(self) -> None:
        """End virtiofsd, if it has not ended."""
        self._connection.close()
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        self._reap()
        os.close(self.pidfd)
        os.close(self.words)

    def __str__(self) -> str:
        return f"volume {self.path.source!r}"

    def _reap(self) -> int:
        if self._status is None:
            _, status = os.waitpid(self.pid, 0)
            self._status = os.waitstatus_to_exitcode(status)
        return self._status


def _file_of(path: SharedPath) -> str:
    mode = os.stat(path.source).st_mode
    if stat.S_ISDIR(mode):
        return ""
    if stat.S_ISREG(mode):
        return FILE
    raise GuestError(f"volume {path.source!r}: neither a file nor a directory")


def _connected(listener: socket.socket, path: Path) -> socket.socket:
    """Return a connection that waits at `listener`, whose path is gone again."""
    listener.bind(str(path))
    try:
        listener.listen(1)
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except BaseException:
            connection.close()
            raise
        return connection
    finally:
        path.unlink()


def _start(path: SharedPath, program: str, listener: socket.socket, words: int) -> int:
    """Start virtiofsd and return its pid. Raises `GuestError`."""
    # Closed by the execution of the program, or with the reason why there is none.
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        _execute(path, program, listener.fileno(), words, writing)
    os.close(writing)
    with open(reading, errors="replace") as reason:
        if fault := reason.read():
            os.waitpid(pid, 0)
            raise GuestError(f"volume {path.source!r}: {fault}")
    return pid


def _execute(
    path: SharedPath, program: str, listener: int, words: int, fault: int
) -> NoReturn:
    """Become virtiofsd."""
    import resource

    try:
        default_all_signals()
        # It holds a descriptor for each file that the guest knows.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        tree = enter_private_tree(path.source, read_only=path.read_only)
        os.set_inheritable(listener, True)
        os.dup2(words, 2)
        command = virtiofsd_command(program, tree, listener)
        try:
            os.execv(program, command)
        except OSError as error:
            error.filename = program
            raise
    except BaseException as error:
        os.write(fault, explain(error).encode(errors="replace"))
    finally:
        os._exit(1)
