# SPDX-License-Identifier: Apache-2.0
"""VMs that are restored from one snapshot, each a guest of its own."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kata_host import Guest, Pool
from kata_host.client import BlockingAgentClient
from kata_host.guest import warm_vm_guest
from kata_host.guest.guest import GuestError, OwnGuest
from kata_host.guest.image.store import Image
from kata_host.guest.vm_command import Sockets
from kata_host.guest.vm_guest import VmGuest
from kata_host.guest.vm_snapshot import save
from kata_host.guest.warm_vm_guest import WarmVmGuest
from kata_host.image.store_directory import VARIABLE
from kata_host.keeper.leftovers import remove_leftovers
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceSyncClient
from tests.helpers.saved_images import directory, docker_archive, entry, tar_of
from tests.helpers.vm import linked_image
from ttrpc.sync import Client

pytestmark = [pytest.mark.vm, pytest.mark.slow]
LONG_AGO = 1_000_000_000
SCRIPT = """
import random, time, uuid
print(time.time(), open("/proc/sys/kernel/random/boot_id").read().strip())
print(open("/dev/urandom", "rb").read(16).hex(), uuid.uuid4(), random.random())
"""
MAKER = """
import sys
from pathlib import Path
from kata_host.guest.image.store import Image
from kata_host.guest.warm_vm_guest import WarmVmGuest
WarmVmGuest(Image(Path(sys.argv[1]))).start()
"""


@dataclass
class Warm:
    """An image of the test's own, and the snapshots that were made of it."""

    image: Image
    saved: list[Sockets] = field(default_factory=list)

    @property
    def snapshots(self) -> list[Path]:
        folder = self.image.directory / "snapshots"
        return [path for path in folder.iterdir() if path.name != "lock"]


@pytest.fixture(scope="module")
def warm(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """Its guests have been saved with a clock that is long behind."""
    warm = Warm(linked_image(image, tmp_path_factory.mktemp("warm") / "image"))

    def save_late(sockets: Sockets, fd: int) -> None:
        warm.saved.append(sockets)
        with Client.connect(f"hvsock://{sockets.hybrid}:1024", timeout=60) as client:
            AgentServiceSyncClient(client).set_guest_date_time(
                agent_pb2.SetGuestDateTimeRequest(Sec=LONG_AGO), timeout=60
            )
        save(sockets, fd)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(warm_vm_guest, "save", save_late)
        yield warm


def run(guest: OwnGuest) -> list[str]:
    """The time, the boot's id and random values of a guest, of two lives of Python."""
    with BlockingAgentClient(guest.address) as client:
        client.create_sandbox("sandbox")
        done = [client.run(["python3", "-c", SCRIPT], rootfs="/") for _ in range(2)]
    assert [result.status for result in done] == [0, 0]
    return [word for result in done for word in result.stdout.decode().split()]


def was_restored(guest: OwnGuest) -> bool:
    (qemu,) = processes_with(str(Sockets(guest.socket.parent).qmp))
    return b"-incoming" in (qemu / "cmdline").read_bytes()


def test_guests_of_one_snapshot_share_nothing(warm: Warm) -> None:
    with WarmVmGuest(warm.image) as one, WarmVmGuest(warm.image) as two:
        assert len(warm.saved) == 1
        assert not warm.saved[0].directory.exists()
        (snapshot,) = warm.snapshots
        assert snapshot.stat().st_mode & 0o777 == 0o600
        assert was_restored(one)
        assert was_restored(two)
        words = []
        for guest in (one, two):
            before = time.time()
            mine = run(guest)
            assert before - 1 < float(mine[0]) < time.time() + 1
            assert mine[1] == mine[6], "one id for the life of the guest"
            words += [mine[1], *mine[2:5], *mine[7:]]
        assert len(set(words)) == len(words)
        assert one.socket != two.socket


def test_a_damaged_snapshot_is_a_boot_and_then_made_again(
    warm: Warm, caplog: pytest.LogCaptureFixture
) -> None:
    with WarmVmGuest(warm.image):
        (snapshot,) = warm.snapshots
    with open(snapshot, "r+b") as file:
        file.seek(snapshot.stat().st_size // 2)
        file.write(os.urandom(64))
    with caplog.at_level(logging.WARNING), WarmVmGuest(warm.image) as guest:
        assert not was_restored(guest)
        assert "damaged, and removed" in caplog.text
    assert not warm.snapshots


def test_what_is_no_state_is_an_error_of_the_start(
    image: Image, tmp_path: Path
) -> None:
    (tmp_path / "state").write_bytes(os.urandom(100_000))
    with open(tmp_path / "state", "rb") as file:
        guest = VmGuest(image, snapshot=file.fileno())
        with pytest.raises(GuestError, match="Not a migration stream"):
            guest.start()
    assert not guest.directory.exists()


def test_nothing_is_left_of_a_program_that_is_killed_while_it_makes_a_snapshot(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = linked_image(image, tmp_path / "image")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    program = subprocess.Popen([sys.executable, "-P", "-c", MAKER, own.directory])
    try:
        while not (consoles := list(tmp_path.glob("kata-guest.*/console.sock"))):
            assert program.poll() is None
            time.sleep(0.01)
        qemu = processes_with(str(consoles[0]))
        assert qemu
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait()
    for process in qemu:
        while process.exists():
            time.sleep(0.01)
    remove_leftovers()
    assert not list(tmp_path.glob("kata-*"))
    assert os.listdir(own.directory / "snapshots") == ["lock"]


def processes_with(word: str) -> list[Path]:
    """The directories in /proc of processes with `word` in their command lines."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes():
                found.append(path.parent)
        except OSError:
            continue
    return found


async def test_the_guests_of_a_pool_are_restored(image: Image) -> None:
    folder = image.directory / "snapshots"
    before = time.time_ns()
    async with Pool(1, Guest.vm) as pool:
        first = await pool.run(["cat", "/proc/sys/kernel/random/boot_id"])
        second = await pool.run(["cat", "/proc/sys/kernel/random/boot_id"])
    assert first.check().text != second.check().text
    used = [path.stat().st_mtime_ns for path in folder.iterdir()]
    assert max(used) >= before - 1e9, "no snapshot was used"


@pytest.mark.usefixtures("image")
def test_a_command_in_a_restored_vm_has_its_image_and_its_network(
    tmp_path: Path,
) -> None:
    layer = tar_of(
        *(directory(name) for name in ("bin", "dev", "etc", "proc", "sys")),
        entry("bin/busybox", Path("/bin/busybox").read_bytes(), mode=0o755),
        entry("note", b"mine\n"),
    )
    saved = docker_archive(tmp_path / "saved.tar", layer)
    command = [sys.executable, "-P", "-m", "kata_host.ctl", "run", "--vm", "--warm"]
    command += ["--network", "user", "--image", str(saved), "--"]
    done = subprocess.run(
        [*command, "/bin/busybox", "cat", "/note", "/etc/resolv.conf"],
        env={**os.environ, VARIABLE: str(tmp_path / "store")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "mine\nnameserver 10.0.2.3\n", done.stderr
    assert "not restored" not in done.stderr
