# SPDX-License-Identifier: Apache-2.0
"""The SDK with a guest in a VM."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kata_host import Guest, Limits
from kata_host.ctl.rootfs import make_busybox
from kata_host.errors import FileError, NotFound, TimedOut
from kata_host.guest.qmp import Qmp
from kata_host.guest.vm_guest import VmGuest
from kata_host.image.errors import ImageError
from kata_host.image.image_store import ImageStore
from kata_host.image.store_directory import VARIABLE
from tests.helpers.saved_images import directory, docker_archive, entry, tar_of


@pytest.fixture
async def sandbox(guest: VmGuest) -> AsyncIterator[Guest]:
    async with Guest.connect(guest.address) as connected:
        yield connected


async def test_a_command_has_files_and_limits(sandbox: Guest) -> None:
    script = "import os; print(os.getuid(), open('a').read())"
    result = await sandbox.run(
        ["python3", "main.py"],
        files={"main.py": script, "a": "one"},
        user=65534,
        limits=Limits(memory="100m", cpus=1, pids=20),
    )
    assert result.check().text.startswith("65534 one")
    killed = await sandbox.run(["tail", "/dev/zero"], limits=Limits(memory="32m"))
    assert (killed.status, killed.oom_killed) == (137, True)


async def test_a_directory_of_the_host_is_copied_into_the_guest(
    sandbox: Guest, tmp_path: Path
) -> None:
    root = make_busybox(tmp_path / "root")
    (root / "mine").write_text("mine\n")
    for _ in range(2):
        assert (await sandbox.run(["cat", "/mine"], image=root)).text == "mine\n"


async def test_the_files_of_a_machine_are_its_own(
    sandbox: Guest, tmp_path: Path
) -> None:
    await sandbox.files.write("/run/own/file", "x")
    assert [it.name for it in await sandbox.files.list("/run/own")] == ["file"]
    await sandbox.files.download("/run/own", tmp_path / "back")
    assert (tmp_path / "back/file").read_text() == "x"
    await sandbox.files.remove("/run/own")
    # Its image is read-only, and nobody else's.
    with pytest.raises(FileError, match=r"file '/etc/new': Read-only file system$"):
        await sandbox.files.write("/etc/new", "x")


async def test_the_layers_of_an_image_are_a_disk(
    guest: VmGuest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "store"))
    base = tar_of(
        *(directory(name) for name in ("bin", "dev", "proc", "srv", "sys")),
        entry("bin/busybox", Path("/bin/busybox").read_bytes(), mode=0o755),
        entry("srv/note", b"lower"),
    )
    top = tar_of(entry("srv/note", b"note", uid=7))
    saved = docker_archive(
        tmp_path / "a.tar",
        base,
        top,
        User="7",
        WorkingDir="/srv",
        Env=["A=b", "B=/bin/busybox"],
    )
    script = "$B cat note; echo x >note; $B id -u; echo $A"
    async with Guest.connect(guest.address) as sandbox:
        command = ["/bin/busybox", "sh", "-c", script]
        ran = await asyncio.gather(
            *(sandbox.run(command, image=saved) for _ in range(2))
        )
        assert [each.check().text for each in ran] == ["note7\nb\n"] * 2
        async with sandbox.container(image="demo:1") as box:
            assert await box.files.read("/srv/note") == b"note"
            with pytest.raises(ImageError, match="in use by a container"):
                ImageStore.open().remove("demo:1")
    ImageStore.open().remove("demo:1")
    with Qmp(guest.sockets.qmp) as qmp:
        names = [node["node-name"] for node in qmp("query-named-block-nodes")]
    assert not [name for name in names if name.startswith("disk-")]


async def test_a_command_that_fails_says_how(sandbox: Guest) -> None:
    with pytest.raises(NotFound):
        await sandbox.run(["no-such-command"])
    with pytest.raises(TimedOut) as raised:
        await sandbox.run(["sh", "-c", "echo begun; sleep 1000"], timeout=10)
    assert raised.value.stdout == b"begun\n"


async def test_a_program_of_a_box_is_on_a_port_of_this_host() -> None:
    loop = asyncio.get_running_loop()
    data = os.urandom(1 << 18)
    script = (
        "import socket; s = socket.create_server(('127.0.0.1', 8000)); print('up', "
        "flush=True); c = s.accept()[0]; c.sendall(b''.join(iter(lambda: "
        "c.recv(65536), b''))[::-1]); c.close()"
    )
    async with Guest.vm() as guest, guest.container() as box:
        async with box.start(["python3", "-c", script]) as process:
            await process.read_until("up\n")
            forward = box.forward(8000)
            async with forward:
                with socket.create_connection(("127.0.0.1", forward.port)) as client:
                    client.setblocking(False)
                    await loop.sock_sendall(client, data)
                    client.shutdown(socket.SHUT_WR)
                    received = b""
                    while part := await loop.sock_recv(client, 65536):
                        received += part
            assert received == data[::-1]
            assert await process.wait() == 0
