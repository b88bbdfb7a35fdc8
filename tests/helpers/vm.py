# SPDX-License-Identifier: Apache-2.0
"""Virtual machines for tests, and connections to them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kata_host.guest.image import build
from kata_host.guest.image.agent import HOME
from kata_host.guest.image.apt import AptSuite
from kata_host.guest.image.cpio import CpioArchive
from kata_host.guest.image.initrd import SOURCE
from kata_host.guest.image.progress import Progress
from kata_host.guest.image.store import Image, cache
from kata_host.guest.vm_command import QEMU, Machine
from kata_host.guest.vm_guest import VmGuest

INIT = Path(__file__).parents[1] / "vm" / "vsock_init.py"
ECHO, CONTROL = 1024, 1030
"""Ports of `tests/vm/vsock_init.py`."""
AGENT, LOG, CONSOLE = 1024, 1025, 1026
"""Ports of an agent that was given them as its options."""


def require_image() -> Image:
    """The guest image, built if it does not exist; skips without QEMU, fails in CI."""
    missing = [p for p in (QEMU, "mkfs.erofs", "setpriv") if shutil.which(p) is None]
    if missing:
        reason = f"needs {', '.join(missing)}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return build.ensure(Progress())


def linked_image(image: Image, directory: Path) -> Image:
    """The same image, with snapshots of its own."""
    directory.mkdir(parents=True)
    for path in image.directory.iterdir():
        if path.name != "snapshots":
            (directory / path.name).symlink_to(path)
    return Image(directory)


def vsock_guest(image: Image, directory: Path) -> VmGuest:
    """A guest whose PID 1 is `tests/vm/vsock_init.py`."""
    archive = CpioArchive()
    archive.add_file(f"{SOURCE}/init", INIT.read_bytes(), 0o755)
    initrd = directory / "initrd"
    initrd.write_bytes(image.initrd.read_bytes() + archive.finish())
    # The kernel does not know this name, so init gets it as a variable.
    program = f"/{HOME}/source/init"
    machine = Machine(kernel_parameters=[f"guest_init={program}"])
    return VmGuest(image, directory / "vm", machine=machine, initrd=initrd)


def agent_guest(
    image: Image, directory: Path, *parameters: str, cpus: int = 2, memory: int = 512
) -> VmGuest:
    """A guest whose PID 1 is the agent, with `parameters` on its kernel's command line.

    Not started: `with` starts the guest, and ends it.
    """
    machine = Machine(cpus=cpus, memory=memory, kernel_parameters=parameters)
    return VmGuest(image, directory / "vm", machine=machine)


def agent_guest_with_init(
    image: Image, directory: Path, init: Path, *parameters: str
) -> VmGuest:
    """A guest whose PID 1 is the script `init`, which starts the agent. Not started."""
    archive = CpioArchive()
    archive.add_file(f"{SOURCE}/init", init.read_bytes(), 0o755)
    initrd = directory / "initrd"
    parts = (image.initrd.read_bytes(), image.source_archive(), archive.finish())
    initrd.write_bytes(b"".join(parts))
    program = f"guest_init=/{HOME}/source/init"
    machine = Machine(kernel_parameters=[program, *parameters])
    return VmGuest(image, directory / "vm", machine=machine, initrd=initrd)


def guest_without_vsock(image: Image, directory: Path, *parameters: str) -> VmGuest:
    """A guest without vsock until its modules are loaded. Not started."""
    order = [name for name in boot_modules(image) if "vsock" not in name]
    initrd = initrd_with(image, directory, order)
    machine = Machine(kernel_parameters=["modprobe.blacklist=vsock", *parameters])
    return VmGuest(image, directory / "vm", machine=machine, initrd=initrd)


def guest_with_loopback(image: Image, directory: Path, *parameters: str) -> VmGuest:
    """A guest whose kernel has vsock loopback, which the image leaves out. Not started.

    The module is in the kernel's package that the image was built from.
    """
    module = kernel_file(image, "kernel/net/vmw_vsock/vsock_loopback.ko")
    order = [*boot_modules(image), "vsock_loopback.ko"]
    initrd = initrd_with(image, directory, order, {"vsock_loopback.ko": module})
    machine = Machine(kernel_parameters=parameters)
    return VmGuest(image, directory / "vm", machine=machine, initrd=initrd)


def boot_modules(image: Image) -> list[str]:
    """The file names of the modules that the initrd loads, in order."""
    with open(image.initrd, "rb") as archive:
        done = subprocess.run(
            ["cpio", "--extract", "--quiet", "--to-stdout", "modules/order"],
            stdin=archive,
            check=True,
            stdout=subprocess.PIPE,
        )
    return done.stdout.decode().splitlines()


def initrd_with(
    image: Image,
    directory: Path,
    order: Sequence[str],
    modules: Mapping[str, bytes] | None = None,
) -> Path:
    """A copy of the initrd, with `modules` added, that loads the files of `order`."""
    changed = CpioArchive()
    for name, content in (modules or {}).items():
        changed.add_file(f"modules/{name}", content)
    # The file of a later archive replaces that of an earlier one.
    changed.add_file("modules/order", "".join(f"{name}\n" for name in order).encode())
    initrd = directory / "initrd"
    initrd.write_bytes(image.boot_archive().read_bytes() + changed.finish())
    return initrd


def kernel_file(image: Image, path: str) -> bytes:
    """A file below lib/modules/VERSION of the kernel's package."""
    (stem,) = (n for n in image.manifest["debian"] if n.startswith("linux-image-"))
    name = stem.partition("_")[0]
    suite = AptSuite(build.KERNEL_SUITE, cache() / "apt" / build.KERNEL_SUITE)
    package = cache() / "apt" / build.KERNEL_SUITE / "archives" / f"{stem}.deb"
    if not package.exists():
        suite.update()
        assert suite.fetch_only(name) == package
    version = name.removeprefix("linux-image-")
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE
    ) as unpacking:
        done = subprocess.run(
            ["tar", "-xO", f"./lib/modules/{version}/{path}"],
            stdin=unpacking.stdout,
            stdout=subprocess.PIPE,
            check=True,
        )
    return done.stdout


@contextlib.contextmanager
def booted(*guests: VmGuest) -> Iterator[None]:
    """Boot guests at the same time, and end all of them afterwards."""
    with contextlib.ExitStack() as stack:
        for guest in guests:
            stack.callback(guest.stop)
            guest.launch()
        for guest in guests:
            guest.wait_until_ready()
        yield


def connect(base: Path, port: int, *, timeout: float = 30.0) -> socket.socket:
    """A connection to a guest's port; raises `ConnectionRefusedError`."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout)
    try:
        connection.connect(str(base))
        connection.sendall(b"CONNECT %d\n" % port)
        answer = b""
        while not answer.endswith(b"\n"):
            byte = connection.recv(1)
            if not byte:
                raise ConnectionRefusedError(f"{base}: nothing listens on port {port}")
            answer += byte
        assert answer.startswith(b"OK "), answer
    except BaseException:
        connection.close()
        raise
    return connection


def process_of(guest: VmGuest, word: str) -> int:
    """The pid of our child that works for a guest and has `word` in its command."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    (found,) = [
        int(child)
        for child in children
        if os.fsencode(guest.directory) in (line := command_line(int(child)))
        and word.encode() in line.split(b"\0")
    ]
    return found


def command_line(pid: int) -> bytes:
    """The arguments of a process, each ended by a zero byte."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


class Control:
    """The control connection to `vsock_init.py`."""

    def __init__(self, base: Path) -> None:
        self._connection = connect(base, CONTROL)
        self._lines = self._connection.makefile("rb")

    def __call__(self, name: str, *arguments: int) -> Any:
        self.start(name, *arguments)
        return self.finish()

    def start(self, name: str, *arguments: int) -> None:
        """Send a command; `finish` returns its answer."""
        self._connection.sendall(json.dumps([name, *arguments]).encode() + b"\n")

    def finish(self) -> Any:
        return json.loads(self._lines.readline())

    def close(self) -> None:
        self._lines.close()
        self._connection.close()
