# SPDX-License-Identifier: Apache-2.0
"""Files and folders of the host in containers of a VM, by virtiofsd."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kata_host import Guest
from kata_host.client import AgentClient, BlockingAgentClient
from kata_host.client.volume import Volume, shared_volume
from kata_host.errors import GuestEnded, NotFound
from kata_host.guest.guest import GuestError
from kata_host.guest.image.store import Image
from kata_host.guest.sharing.share_request import SharedPath
from kata_host.guest.sharing.sharing import Sharing
from kata_host.guest.vm_guest import VmGuest
from kata_host.scratch import Scratch
from tests.helpers import vm
from tests.helpers.guest_container import output, request
from tests.helpers.shared_volumes import (
    daemons_of,
    plugged_volumes,
    require_virtiofsd,
    servers,
)

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def guest(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VmGuest]:
    """A guest of its own, because a volume that breaks ends its guest."""
    with vm.agent_guest(image, tmp_path_factory.mktemp("volumes")) as guest:
        with BlockingAgentClient(guest.address) as client:
            client.create_sandbox("vm")
        yield guest


@pytest.fixture(autouse=True)
def _nothing_left(guest: VmGuest) -> Iterator[None]:
    require_virtiofsd()
    yield
    assert guest.ending() is None
    assert plugged_volumes(guest.sockets.qmp) == []
    assert servers(str(guest.sockets.qmp)) == []


@pytest.fixture
async def sandbox(guest: VmGuest) -> AsyncIterator[Guest]:
    async with Guest.connect(guest.address) as connected:
        yield connected


async def test_folders_and_files_are_those_of_the_host(
    sandbox: Guest, tmp_path: Path
) -> None:
    odd = tmp_path / "a, b:c\n\u00e9'\\=x"
    odd.mkdir()
    (odd / "file").write_text("text\n")
    (odd / "link").symlink_to("file")
    single = tmp_path / "single"
    single.write_text("single\n")
    (tmp_path / "to-odd").symlink_to(odd)
    (tmp_path / "to-single").symlink_to("single")
    script = (
        "cat /rw/link /ro/file /one; echo new >/rw/new; chown 5:6 /rw/new; "
        "echo changed >/one; for it in /ro/x /ro/file /only; do "
        "echo no >$it; done; ls /rw"
    )
    result = await sandbox.run(
        ["sh", "-c", script],
        volumes={
            "/rw": odd,
            "/ro": f"{tmp_path}/to-odd:ro",
            "/one": tmp_path / "to-single",
            "/only": f"{single}:ro",
        },
    )
    assert result.check().text == "text\ntext\nsingle\nfile\nlink\nnew\n"
    refusals = result.stderr.decode().splitlines()
    assert [line.rpartition(": ")[2] for line in refusals] == [
        "Read-only file system"
    ] * 3
    assert (odd / "new").read_text() == "new\n"
    assert ((odd / "new").stat().st_uid, (odd / "new").stat().st_gid) == (5, 6)
    assert single.read_text() == "changed\n"


async def test_two_containers_share_a_folder_and_see_changes_at_once(
    sandbox: Guest, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)
    volumes = {"/d": tmp_path}
    async with (
        sandbox.container(volumes=volumes) as one,
        sandbox.container(volumes=volumes, user=1000) as two,
    ):
        (tmp_path / "file").write_text("host")
        assert (await two.run(["cat", "/d/file"])).text == "host"
        await one.run(["sh", "-c", "printf longer >/d/file"])
        assert (await two.run(["cat", "/d/file"])).text == "longer"
        assert (tmp_path / "file").read_text() == "longer"
        # Nobody but root may write to the folder, as on the host.
        refused = await two.run(["touch", "/d/other"])
        assert "Permission denied" in refused.stderr.decode()
        tmp_path.chmod(0o777)
        (await two.run(["touch", "/d/other"])).check()
        assert (tmp_path / "other").stat().st_uid == 1000
        # A file may be mapped, which databases need.
        program = (
            "import mmap; f = open('/d/file', 'r+b'); m = mmap.mmap(f.fileno(), 0); "
            "m[:1] = b'L'; m.flush()"
        )
        (await one.run(["python3", "-c", program])).check()
        assert (await two.run(["cat", "/d/file"])).text == "Longer"


async def test_a_hostile_guest_has_the_volume_and_nothing_else(
    guest: VmGuest, client: AgentClient, tmp_path: Path
) -> None:
    """It mounts the read-only volume for writing, as root with all capabilities."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "file").write_text("text")
    (mine / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("secret")
    scratch = Scratch("volumes")
    sharing = Sharing(guest.sockets.qmp, scratch.make())
    try:
        sources = [SharedPath(str(mine), True), SharedPath(str(mine))]
        shared = await asyncio.to_thread(sharing.start, sources)
        server = servers(str(guest.sockets.qmp))[0]
        roots = [Path(f"/proc/{pid}/root") for pid in daemons_of(server)[1::2]]
        assert [sorted(os.listdir(root)) for root in roots] == [["file", "out"]] * 2
        mounts = [
            shared_volume(Volume(str(mine), f"/v{n}"), each.tag, each.file)
            for n, each in enumerate(shared)
        ]
        script = (
            "for it in /v0/new /v0/file; do echo x 2>&1 >$it; done; "
            "chmod 777 /v0/file; rm /v0/file; mknod /v1/sda b 8 0; "
            "cat /v1/out /v1/../secret; echo end"
        )
        message = request(
            script,
            storages=[storage for storage, _ in mounts],
            mounts=[volume.to_mount() for _, volume in mounts],
        )
        process = message.OCI.Process
        for kind in ("Bounding", "Effective", "Permitted"):
            getattr(process.Capabilities, kind)[:] = ["CAP_SYS_ADMIN", "CAP_MKNOD"]
        process.Args[:] = ["sh", "-c", f"exec 2>&1; {script}"]
        said = (await output(client, message)).splitlines()
        faults = [line.rpartition(": ")[2] for line in said]
        read_only, no_file = "Read-only file system", "No such file or directory"
        assert faults == [
            *[read_only] * 4,
            "Operation not permitted",
            *[no_file] * 2,
            "end",
        ]
    finally:
        scratch.remove()
        await asyncio.to_thread(sharing.wait)


async def test_what_cannot_be_shared_is_an_error_that_leaves_nothing(
    sandbox: Guest, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="volume '/d': no such file or directory: /no"):
        await sandbox.run(["true"], volumes={"/d": "/no"})
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(GuestError, match="socket': neither a file nor a directory"):
            await sandbox.run(
                ["true"], volumes={"/a": tmp_path, "/b": tmp_path / "socket"}
            )
    # More than there are places for.
    many = {f"/v{n}": tmp_path for n in range(40)}
    with pytest.raises(GuestError, match="no slot/function available"):
        await sandbox.run(["true"], volumes=many)


async def test_a_caller_that_is_cancelled_leaves_nothing(
    sandbox: Guest, tmp_path: Path
) -> None:
    running = asyncio.ensure_future(
        sandbox.run(["sleep", "1000"], volumes={"/d": tmp_path})
    )
    while not servers(str(tmp_path)):
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_volume_that_is_in_use_leaves_with_its_folder(
    guest: VmGuest, sandbox: Guest, tmp_path: Path
) -> None:
    """Its program was killed, and the container is still there."""
    (tmp_path / "file").write_text("text")
    async with sandbox.container(volumes={"/d": tmp_path}) as box:
        async with box.start(["sh", "-c", "cd /d; read x; cat file"]) as process:
            (server,) = servers(str(guest.sockets.qmp))
            daemons = daemons_of(server)
            folder = Path(f"/proc/{server}/cmdline").read_text().split('"folder": "')
            Path(folder[1].partition('"')[0]).rename(tmp_path / "elsewhere")
            while servers(str(guest.sockets.qmp)):
                await asyncio.sleep(0.05)
            assert not [pid for pid in daemons if Path(f"/proc/{pid}").exists()]
            await process.write("\n")
            assert await process.wait() == 1


async def test_a_guest_whose_virtiofsd_dies_ends_and_says_so(tmp_path: Path) -> None:
    """Calls to the dead one would never return, and their processes never end."""
    script = "touch /d/up; while :; do ls /d >/dev/null; done"
    machine = await Guest.vm().start()
    try:
        running = asyncio.ensure_future(
            machine.run(["sh", "-c", script], volumes={"/d": tmp_path})
        )
        while not (tmp_path / "up").exists():
            await asyncio.sleep(0.05)
        (server,) = servers(str(tmp_path))
        for pid in daemons_of(server):
            os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(20):
            with pytest.raises(GuestEnded, match="virtiofsd of .* was killed by sig"):
                await running
    finally:
        await machine.stop()
    assert not servers(str(tmp_path))
