# SPDX-License-Identifier: Apache-2.0
"""A guest in a virtual machine: QEMU, our vsock backend, and the image.

    this process --+-- python -m kata_host.guest.vsock   (guest.sock for clients)
                   +-- qemu-system-x86_64      (console.sock, qmp.sock)
                   '-- slirp4netns, with the network `user`

A program may serve more to the VM (`kata_host.guest.sharing`), and ends with QEMU.
The kernel kills both children when the thread that called `start` ends, so call `start`
from a thread that lives as long as the guest.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Self

from kata_host.child import child_environment, module_command
from kata_host.guest.bound_child import spawn_bound
from kata_host.guest.console import last_lines
from kata_host.guest.guest import AGENT_PORT, GuestError
from kata_host.guest.image.store import Image, cache
from kata_host.guest.vm_accelerator import choose_accelerator
from kata_host.guest.vm_command import QEMU, Machine, Sockets, qemu_command
from kata_host.guest.vm_network import VmNetwork
from kata_host.guest.vm_snapshot import renew, resume
from kata_host.interruption import INTERRUPTION
from kata_host.needed_programs import missing
from kata_host.scratch import Scratch

BOOT_TIMEOUT: Final = 60.0
"""Seconds until the agent must listen."""
END_TIMEOUT: Final = 5.0
"""Seconds for QEMU to end after it has closed the vsock backend's connection."""
PANIC: Final = "Kernel panic - "
RETRY_INTERVAL: Final = 0.02
"""Seconds between two looks at something that has no event."""
_SUN_PATH_LIMIT: Final = 107 - len("_4294967295")
"""Bytes of `sun_path` (man 7 unix), less the longest suffix that ports add."""


class VmGuest:
    """A VM in `directory`, which is made at start and removed at the end.

    For a guest whose PID 1 is not the agent, `initrd` replaces the image's, and the
    guest is ready when something listens on `ready_port`.
    """

    def __init__(
        self,
        image: Image,
        directory: Path | None = None,
        *,
        machine: Machine | None = None,
        initrd: Path | None = None,
        ready_port: int = AGENT_PORT,
        snapshot: int | None = None,
    ) -> None:
        """Make a guest that is not started.

        One of the same image and machine that has been saved to the file `snapshot`, a
        descriptor, goes on from there instead of booting.
        """
        self._scratch: Scratch | None = None
        if directory is None:
            self._scratch = Scratch("guest")
            directory = self._scratch.path
        self.directory = directory.absolute()
        self.machine = machine or Machine()
        self.sockets = Sockets(self.directory)
        self._image = image
        self._initrd = initrd
        self._ready_port = ready_port
        self._snapshot = snapshot
        self._backend: subprocess.Popen[bytes] | None = None
        self._qemu: subprocess.Popen[bytes] | None = None
        self._network: VmNetwork | None = None
        self._ending: str | None = None

    @property
    def socket(self) -> Path:
        return self.sockets.hybrid

    @property
    def address(self) -> str:
        return f"hvsock://{self.socket}:{AGENT_PORT}"

    def start(self) -> None:
        """Boot the VM and return when the agent listens.

        Raises `GuestError` with the end of the console if the VM ends, or if no agent
        listens after a minute; nothing is left of the VM then.
        """
        self.launch()
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def launch(self) -> None:
        """Start the backend and QEMU without waiting for the kernel or the agent.

        Afterwards QEMU's sockets take connections, unless QEMU has ended already.
        Raises `GuestError`.
        """
        if fault := missing(QEMU):
            raise GuestError(fault)
        try:
            if len(os.fsencode(self.socket)) > _SUN_PATH_LIMIT:
                raise GuestError(f"{self.socket}: path too long for a unix socket")
            if self._scratch is None:
                self.directory.mkdir(mode=0o700, exist_ok=True)
            else:
                self._scratch.make()
            self._start_backend()
            if self._snapshot is None:
                # QEMU connects to it at once, and otherwise when the VM goes on.
                self._wait_for_backend()
                self._start_qemu()
            else:
                self._start_qemu()
                self._wait_for_backend()
            # QEMU makes this socket last.
            while not self.sockets.qmp.exists() and self.ending() is None:
                time.sleep(RETRY_INTERVAL)
            if self._network is not None and self.ending() is None:
                with self._diagnostic_file() as log, INTERRUPTION.uninterrupted():
                    self._network.start(self._running().pid, log)
        except OSError as error:
            self.stop()
            raise GuestError(f"vm {self.directory}: {error}") from error
        except BaseException:
            self.stop()
            raise

    def wait_until_ready(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Return when something listens on the ready port.

        Raises `GuestError` and ends the guest if nothing listens after `timeout`
        seconds, or if the VM has ended.
        """
        deadline = time.monotonic() + timeout
        try:
            if self._snapshot is not None:
                resume(self.sockets, self._snapshot)
            while not self._is_listening(deadline):
                if ending := self.ending():
                    raise GuestError(f"vm {self.directory}: {ending} while booting")
                if time.monotonic() >= deadline:
                    raise GuestError(
                        f"vm {self.directory}: no agent on port {self._ready_port}"
                        f" after {timeout:g} s"
                    )
                time.sleep(RETRY_INTERVAL)
            if self._snapshot is not None:
                renew(self.address)
        except GuestError as error:
            lines = [*self._console_before_panic(), *self._diagnostics()]
            tail = "\n".join(f"    {line}" for line in lines)
            self.stop()
            raise GuestError(f"{error}; its console ends with\n{tail}") from None

    def give_up(self) -> None:
        # Every wait of a start looks for an end.
        self._ending = "given up"

    def ending(self, timeout: float = 0) -> str | None:
        """Return one line that says how the VM ended, or None while it runs.

        Waits for an end for up to `timeout` seconds.
        """
        if self._ending is None:
            slirp = None if self._network is None else self._network.process
            named = (
                ("qemu", self._qemu),
                ("vsock", self._backend),
                ("slirp4netns", slirp),
            )
            started = {name: process for name, process in named if process is not None}
            if timeout:
                _wait_for_one(started.values(), timeout)
            if self._qemu is not None and self._backend_ended_in_order():
                # The backend ends when QEMU closes their connection, so QEMU has ended
                # as well, and the end of QEMU is the cause.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._qemu.wait(END_TIMEOUT)
            for name, process in started.items():
                if (status := process.poll()) is not None:
                    self._ending = self._reason() or _describe(name, status)
                    break
        return self._ending

    def wait(self, timeout: float) -> int:
        """Wait for QEMU to end by itself; return its exit status.

        Raises `GuestError` if QEMU still runs after `timeout` seconds.
        """
        try:
            return self._running().wait(timeout)
        except subprocess.TimeoutExpired:
            raise GuestError(
                f"vm {self.directory}: still running after {timeout:g} s"
            ) from None

    def console_tail(self, lines: int = 20) -> Sequence[str]:
        try:
            with open(self.sockets.console_log, "rb") as log:
                return last_lines(log.fileno(), lines)
        except OSError:
            return []

    def stop(self) -> None:
        with INTERRUPTION.uninterrupted():
            for process in (self._qemu, self._backend):
                if process is None:
                    continue
                process.kill()
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()
            self._qemu = self._backend = None
            if self._network is not None:
                self._network.close()
                self._network = None
            self._wait_for_servers()
            if self._scratch is None:
                shutil.rmtree(self.directory, ignore_errors=True)
            else:
                self._scratch.remove()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._qemu is None:
            raise GuestError(f"vm {self.directory}: not started")
        return self._qemu

    def _start_backend(self) -> None:
        arguments = [str(self.sockets.vhost), str(self.sockets.hybrid)]
        with self._diagnostic_file() as log, INTERRUPTION.uninterrupted():
            self._backend = spawn_bound(
                module_command("kata_host.guest.vsock", *arguments),
                stdout=subprocess.PIPE,
                stderr=log,
                env=child_environment(),
            )

    def _wait_for_backend(self) -> None:
        assert self._backend is not None
        assert self._backend.stdout is not None
        if self._backend.stdout.readline() != b"ready\n":
            self._backend.wait()
            reason = "\n".join(self._diagnostics())
            raise GuestError(f"vm {self.directory}: vsock backend: {reason}")

    def _command(self) -> list[str]:
        return qemu_command(
            self.machine,
            self.sockets,
            kernel=self._image.kernel,
            initrd=self._initrd or self._image.boot_archive(),
            root=self._image.root,
            accelerator=choose_accelerator(self._image.kernel, cache()),
            is_restored=self._snapshot is not None,
        )

    def _start_qemu(self) -> None:
        arguments, inside = self._command(), list[str]()
        if self.machine.network == "user":
            self._network = VmNetwork(self.directory)
            inside = self._network.command()
        with self._diagnostic_file() as log, INTERRUPTION.uninterrupted():
            self._qemu = spawn_bound(arguments, inside=inside, stdout=log, stderr=log)

    def _backend_ended_in_order(self) -> bool:
        return self._backend is not None and self._backend.poll() == 0

    def _is_listening(self, deadline: float) -> bool:
        """Ask for the ready port; return whether something listens there."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(RETRY_INTERVAL)
            try:
                probe.connect(str(self.socket))
                probe.sendall(b"CONNECT %d\n" % self._ready_port)
                while time.monotonic() < deadline and self.ending() is None:
                    try:
                        return probe.recv(64).startswith(b"OK")
                    except TimeoutError:
                        continue  # The guest has no vsock driver yet.
            except OSError:
                return False
        return False

    def _console_before_panic(self, lines: int = 20) -> Sequence[str]:
        """Return the end of the console without a panic's registers and addresses."""
        console = list(self.console_tail(1000))
        panics = [number for number, line in enumerate(console) if PANIC in line]
        return console[: panics[0] + 1][-lines:] if panics else console[-lines:]

    def _wait_for_servers(self) -> None:
        """Wait for the programs that end with QEMU, for up to `END_TIMEOUT`."""
        deadline = time.monotonic() + END_TIMEOUT
        try:
            lock = os.open(self.sockets.servers, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return  # There were none.
        with open(lock, "rb"):
            while time.monotonic() < deadline:
                try:
                    return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(RETRY_INTERVAL)

    def _reason(self) -> str | None:
        """Return why a program that serves the VM has ended it, if one has."""
        try:
            return self.sockets.reason.read_text()
        except OSError:
            return None

    def _diagnostic_file(self) -> BinaryIO:
        return open(self.directory / "qemu.log", "ab")

    def _diagnostics(self) -> list[str]:
        try:
            return (
                (self.directory / "qemu.log").read_text(errors="replace").splitlines()
            )
        except OSError:
            return []


def _wait_for_one(processes: Iterable[subprocess.Popen[bytes]], timeout: float) -> None:
    """Return when one of our children has ended, or after `timeout` seconds."""
    with contextlib.ExitStack() as stack:
        poll = select.poll()
        for process in processes:
            if process.poll() is not None:
                return
            pidfd = os.pidfd_open(process.pid)
            stack.callback(os.close, pidfd)
            poll.register(pidfd, select.POLLIN)
        poll.poll(timeout * 1000)


def _describe(name: str, status: int) -> str:
    if status < 0:
        return f"{name} was killed by signal {-status}"
    return f"{name} ended with status {status}"
