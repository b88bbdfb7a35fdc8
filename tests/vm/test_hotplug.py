# SPDX-License-Identifier: Apache-2.0
"""Devices that are plugged while the guest runs: found, or named in the error."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Awaitable
from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_host.guest.image.store import Image
from kata_protos import agent_pb2, types_pb2
from kata_protos.agent_pb2 import Device, Storage
from kata_protos.oci_pb2 import LinuxDevice
from tests.helpers.guest_container import STORAGE, bind, output, request
from tests.helpers.microvm import MicroVm
from tests.helpers.plug import MIB, Plug
from tests.helpers.shell import Shell
from ttrpc.codes import Code
from ttrpc.errors import StatusError

pytestmark = [pytest.mark.vm, pytest.mark.slow]

EXT4 = ("mkfs.ext4", "-q", "-F")
TIMEOUT = "timeout after 3s waiting for "
SLOTS = range(1, 5)


def storage(driver: str, source: str, name: str = "disk", **fields: str) -> Storage:
    fields = {"fstype": "ext4", **fields}
    return Storage(
        driver=driver, source=source, mount_point=f"{STORAGE}/{name}", **fields
    )


async def mounted(client: AgentClient, wanted: Storage) -> str:
    """Return the source of a storage's mount in a container, after writing to it."""
    script = "echo text > /volume/file; cat /volume/file; grep /volume /proc/mounts"
    text, source, *_ = (
        await output(client, request(script, storages=[wanted]))
    ).split()
    assert text == "text"
    return source


# --- a device of each kind is found ---


async def test_a_disk_on_a_root_port(client: AgentClient, plug: Plug) -> None:
    plug.disk(plug.image(mkfs=EXT4), "rp0")
    assert await mounted(client, storage("blk", "08/00")) == "/dev/vdb"


async def test_a_disk_behind_a_bridge(client: AgentClient, plug: Plug) -> None:
    plug.disk(plug.image(mkfs=EXT4), "pci-bridge-0", addr="2")
    assert await mounted(client, storage("blk", "10/02")) == "/dev/vdb"


async def test_a_disk_that_the_kernel_finds_when_told_to_look(
    client: AgentClient, plug: Plug, shell: Shell
) -> None:
    """A guest without ACPI gets no event for a plugged device, so the agent rescans."""
    plug.disk(plug.image(mkfs=EXT4), "rp0")
    await mounted(client, storage("blk", "08/00"))
    shell.run("echo 1 > /sys/block/vdb/device/../remove")
    assert shell.run("test -e /dev/vdb || echo gone") == "gone"
    assert await mounted(client, storage("blk", "08/00")) == "/dev/vdb"


async def test_a_disk_by_its_node(client: AgentClient, plug: Plug) -> None:
    plug.disk(plug.image(mkfs=EXT4), "rp1")
    # The agent waits for PCI paths, and not for nodes.
    await mounted(client, storage("blk", "09/00"))
    assert await mounted(client, storage("blk", "/dev/vdb")) == "/dev/vdb"


async def test_a_scsi_disk(client: AgentClient, plug: Plug, shell: Shell) -> None:
    plug.scsi_disk(plug.image(mkfs=EXT4), 3, 2)
    plug.scsi_disk(plug.image(), 30, 2)
    source = await mounted(client, storage("scsi", "3:2"))
    # The kernel names the two disks in the order in which it probes them.
    wanted = shell.run("ls /sys/bus/scsi/devices/0:0:3:2/block")
    assert source == f"/dev/{wanted}"


async def test_a_network_interface(client: AgentClient, plug: Plug) -> None:
    plug.device("virtio-net-pci", bus="rp0", mac="52:54:00:00:00:07")
    interface = types_pb2.Interface(
        name="net7", hwAddr="52:54:00:00:00:07", mtu=1400, devicePath="08/00"
    )
    await client.agent.update_interface(
        agent_pb2.UpdateInterfaceRequest(interface=interface)
    )
    listed = await client.agent.list_interfaces(agent_pb2.ListInterfacesRequest())
    found = {each.name: each for each in listed.Interfaces}
    assert (found["net7"].hwAddr, found["net7"].mtu) == ("52:54:00:00:00:07", 1400)


async def test_persistent_memory(client: AgentClient, plug: Plug) -> None:
    # The module stays plugged, so its file must stay as well.
    plug.nvdimm(plug.image(64 * MIB, mkfs=EXT4).rename(plug.guest.directory / "pmem"))
    assert await mounted(client, storage("nvdimm", "/dev/pmem0")) == "/dev/pmem0"


async def test_virtio_fs(client: AgentClient, plug: Plug, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    plug.share(shared, "kataShared", "rp0")
    wanted = storage("virtio-fs", "kataShared", fstype="virtiofs")
    assert await mounted(client, wanted) == "kataShared"
    assert (shared / "file").read_text() == "text\n"


async def test_disks_on_virtio_mmio(image: Image, tmp_path: Path) -> None:
    """A guest without PCI has its devices from the start."""
    disk = tmp_path / "disk"
    disk.touch()
    os.truncate(disk, 16 * MIB)
    subprocess.run([*EXT4, disk], check=True)
    options = ("agent.hotplug_timeout=1s", "agent.unified_cgroup_hierarchy=1")
    with MicroVm(image, tmp_path, disk, *options) as guest:
        async with AgentClient.connect(guest.address) as client:
            await client.create_sandbox("vm")
            assert await mounted(client, storage("mmioblk", "/dev/vdb")) == "/dev/vdb"
            device = Device(
                type="mmioblk", vm_path="/dev/vdb", container_path="/dev/data"
            )
            node = LinuxDevice(Path="/dev/data", Type="b", Major=8, Minor=0)
            script = "readlink -f /sys/block/vdb; head -c 1080 /dev/data | wc -c"
            message = request(script, devices=[device], nodes=[node])
            place, size = (await output(client, message)).split()
            assert "/LNRO0005:" in place
            assert size == "1080"
            with pytest.raises(StatusError, match="after 1s waiting for block device"):
                await mounted(client, storage("mmioblk", "/dev/vdc"))


async def test_a_device_that_comes_after_it_was_asked_for(
    client: AgentClient, plug: Plug, tmp_path: Path
) -> None:
    (tmp_path / "shared").mkdir()
    images = [plug.image(mkfs=EXT4) for _ in range(2)]
    pairs = [
        (
            storage("blk", "08/00", "a"),
            lambda: plug.disk(images[0], "rp0"),
        ),
        (
            storage("scsi", "5:0", "b"),
            lambda: plug.scsi_disk(images[1], 5),
        ),
        (
            storage("virtio-fs", "late", "c", fstype="virtiofs"),
            lambda: plug.share(tmp_path / "shared", "late", "rp1"),
        ),
    ]
    for wanted, arrive in pairs:
        asked = asyncio.create_task(mounted(client, wanted))
        # The agent responds in order, so it works on the container by now.
        await client.check()
        arrive()
        await asked


async def test_a_burst_of_devices(client: AgentClient, plug: Plug) -> None:
    """Eight disks on three buses at once, for eight containers."""
    on_bridge = {f"bridge-{n}": storage("blk", f"10/{n:02x}", f"b{n}") for n in SLOTS}
    on_scsi = {f"scsi-{n}": storage("scsi", f"{n}:{n}", f"s{n}") for n in SLOTS}
    wanted = {**on_bridge, **on_scsi}

    def labelled(name: str) -> Path:
        (plug.directory / name).mkdir()
        (plug.directory / name / "name").write_text(name)
        content = str(plug.directory / name)
        return plug.image(4 * MIB, mkfs=(*EXT4, "-d", content))

    async def label(each: Storage) -> str:
        volume = bind(each.mount_point)
        return await output(
            client, request("cat /volume/name", storages=[each], mounts=[volume])
        )

    images = {name: labelled(name) for name in wanted}
    # The guest still detects the disks when the containers ask for them.
    for number, name in zip(SLOTS, on_bridge, strict=True):
        plug.disk(images[name], "pci-bridge-0", addr=str(number))
    for number, name in zip(SLOTS, on_scsi, strict=True):
        plug.scsi_disk(images[name], number, number)
    asked = [label(each) for each in wanted.values()]
    assert await asyncio.gather(*asked) == list(wanted)


# --- a device of each kind is missing ---


async def test_a_device_that_does_not_come_is_named_after_the_timeout(
    client: AgentClient,
) -> None:
    async def missing(call: Awaitable[object]) -> tuple[Code, str]:
        with pytest.raises(StatusError) as caught:
            await call
        return caught.value.code, caught.value.message

    interface = types_pb2.Interface(
        name="net9", hwAddr="52:54:00:00:00:09", devicePath="08/00"
    )
    cases = {
        "a block device at PCI path 08/00": mounted(client, storage("blk", "08/00")),
        "a block device at PCI path 10/05": mounted(
            client, storage("blk", "10/05", "b")
        ),
        "a block device at PCI path 10/07": client.agent.add_swap(
            agent_pb2.AddSwapRequest(PCIPath=[0x10, 7])
        ),
        "a block device at SCSI address 6:1": mounted(
            client, storage("scsi", "6:1", "c")
        ),
        "block device /dev/vdz": mounted(client, storage("mmioblk", "/dev/vdz", "d")),
        "persistent memory device /dev/pmem9": mounted(
            client, storage("nvdimm", "/dev/pmem9", "e")
        ),
        "a virtiofs device with the tag 'nowhere'": mounted(
            client, storage("virtio-fs", "nowhere", "f", fstype="virtiofs")
        ),
        "a network interface at PCI path 08/00": client.agent.update_interface(
            agent_pb2.UpdateInterfaceRequest(interface=interface)
        ),
    }
    # Other calls are answered during the wait.
    errors = asyncio.gather(*map(missing, cases.values()))
    await client.check(timeout=2)
    assert await errors == [(Code.DEADLINE_EXCEEDED, TIMEOUT + what) for what in cases]


async def test_a_failed_container_leaves_nothing(
    client: AgentClient, shell: Shell
) -> None:
    before = shell.run("find /run/kata-containers; grep kata-con /proc/mounts")
    wanted = [
        storage("bind", "/usr/share", "first"),
        storage("mmioblk", "/dev/vda", "second", fstype="nonsense"),
    ]
    with pytest.raises(StatusError, match="this kernel has no file system 'nonsense'"):
        await output(client, request("true", storages=wanted))
    assert shell.run("find /run/kata-containers; grep kata-con /proc/mounts") == before


async def test_9p_needs_a_kernel_that_has_it(client: AgentClient) -> None:
    """The image's kernel has no 9p; `tests/agent/storage/` tests the driver."""
    wanted = storage("9p", "kataShared", fstype="9p")
    with pytest.raises(StatusError, match="this kernel has no file system '9p'"):
        await output(client, request("true", storages=[wanted]))
