# SPDX-License-Identifier: Apache-2.0
"""Devices in containers, under the rules of cgroup v1 and v2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_host.guest.vm_guest import VmGuest
from kata_protos.agent_pb2 import Device
from kata_protos.oci_pb2 import LinuxDevice, LinuxDeviceCgroup
from tests.helpers import vm
from tests.helpers.guest_container import output, request, run
from tests.helpers.plug import MIB, Plug
from tests.helpers.shell import Shell
from ttrpc.errors import StatusError

pytestmark = [pytest.mark.vm, pytest.mark.slow]

NOTHING = LinuxDeviceCgroup(Allow=False, Access="rwm")
ANYTHING = LinuxDeviceCgroup(Allow=True, Type="a", Major=-1, Minor=-1, Access="rwm")
HOST = {"PCIDEVICE_X": "0000:3b:00.1", "PCIDEVICE_X_INFO": '{"0000:3b:00.1": {}}'}
HOST["OTHER"] = "0000:3b:00.1"
OPEN = "head -c 6 /dev/{0} 2>&1; echo"
MAKE_AND_OPEN = "mknod /tmp/{0} b {1} {2} && head -c 6 /tmp/{0} 2>&1; echo"


def node(path: str, major: int = 8, minor: int = 0, kind: str = "b") -> LinuxDevice:
    """A device of the spec, in the host's numbers."""
    return LinuxDevice(Path=path, Type=kind, Major=major, Minor=minor, FileMode=0o600)


@pytest.fixture
def disks(machine_plug: Plug) -> None:
    """Two disks: 254:16 on a root port, 8:0 on the SCSI controller."""
    machine_plug.disk(machine_plug.image(MIB, content=b"first\n"), "rp0")
    machine_plug.scsi_disk(machine_plug.image(MIB, content=b"second"), 2)


@pytest.mark.usefixtures("disks")
@pytest.mark.parametrize(
    ("rules", "others"),
    [([], "not permitted"), ([NOTHING], "not permitted"), ([ANYTHING], "second")],
    ids=["default", "nothing", "anything"],
)
async def test_a_container_reads_its_own_disk_and_never_the_guests(
    machine_client: AgentClient, rules: list[LinuxDeviceCgroup], others: str
) -> None:
    script = "; ".join(
        [
            OPEN.format("xvda"),
            MAKE_AND_OPEN.format("scsi", 8, 0),
            MAKE_AND_OPEN.format("root", 254, 0),
            "echo x > /tmp/root",
            "stat -c '%t:%T %a' /dev/xvda",
        ]
    )
    message = request(
        script,
        devices=[Device(type="blk", id="08/00", container_path="/dev/xvda")],
        # On the host, the numbers are those of the guest's other disk.
        nodes=[node("/dev/xvda", 8, 0)],
        rules=rules,
    )
    result = await run(machine_client, message)
    first, second, root, numbers = [
        line for line in result.stdout.decode().splitlines() if line
    ]
    assert first == "first", result
    assert second.endswith(others)
    assert root.endswith("Operation not permitted")
    assert b"/tmp/root: Operation not permitted" in result.stderr
    assert numbers == "fe:10 600"


@pytest.mark.usefixtures("disks")
async def test_numbers_of_two_devices_that_cross(machine_client: AgentClient) -> None:
    """On the host, each disk has the number of the other disk in the guest."""
    rules = [
        NOTHING,
        LinuxDeviceCgroup(Allow=True, Type="b", Major=254, Minor=16, Access="r"),
        LinuxDeviceCgroup(Allow=True, Type="b", Major=8, Minor=0, Access="rw"),
    ]
    write = "echo written > /dev/{0} && echo wrote {0}"
    message = request(
        "; ".join(
            [OPEN.format("a"), OPEN.format("b"), write.format("b"), write.format("a")]
        ),
        devices=[
            Device(type="scsi", id="2:0", container_path="/dev/a"),
            Device(type="blk", id="08/00", container_path="/dev/b"),
        ],
        nodes=[node("/dev/a", 254, 16), node("/dev/b", 8, 0)],
        rules=rules,
    )
    result = await run(machine_client, message)
    assert result.stdout.decode().split("\n") == [
        *("second", "first", "", "wrote b", ""),
    ]
    assert b"/dev/a: Operation not permitted" in result.stderr


MISSING = {
    ("blk", "08/00", ""): "timeout after 1s waiting for a block device at PCI path",
    ("scsi", "7:7", ""): "timeout after 1s waiting for a block device at SCSI",
    ("nvdimm", "", "/dev/pmem7"): "waiting for persistent memory device /dev/pmem7",
    ("mmioblk", "", "/dev/vdy"): "timeout after 1s waiting for block device /dev/vdy",
    ("blk", "", "/dev/vdy"): "device /dev/vdy: no such node",
    ("blk", "", "/etc/passwd"): "device '/etc/passwd': not a node in /dev",
    ("blk", "8/zz", ""): "PCI path '8/zz': not of the form",
    ("blk", "1f/00", ""): "PCI path '1f/00': no bus behind",
    ("scsi", "7", ""): "SCSI address '7': not of the form ID:LUN",
    ("blk-ccw", "0.0.0001", ""): "unknown type 'blk-ccw'",
}


async def test_devices_that_do_not_come_and_bad_ones(
    machines: dict[str, VmGuest],
) -> None:
    async with AgentClient.connect(machines["v2"].address) as client:

        async def fail(kind: str, address: str, path: str) -> str:
            device = Device(
                type=kind, id=address, vm_path=path, container_path="/dev/a"
            )
            message = request("true", devices=[device], nodes=[node("/dev/a")])
            with pytest.raises(StatusError) as caught:
                await output(client, message)
            return caught.value.message

        errors = await asyncio.gather(*(fail(*device) for device in MISSING))
        for error, expected in zip(errors, MISSING.values(), strict=True):
            assert expected in error
        stray = Device(type="blk", vm_path="/dev/vda", container_path="/dev/b")
        with pytest.raises(StatusError, match="device '/dev/b': not among the spec's"):
            await output(client, request("true", devices=[stray]))


# --- VFIO: the first machine has an IOMMU, which QEMU emulates ---


@pytest.fixture
def passing(machines: dict[str, VmGuest]) -> VmGuest:
    """The machine with an IOMMU, and a driver that Kata's kernels have built in."""
    guest = machines["v1"]
    with Shell(vm.connect(guest.socket, vm.CONSOLE)) as shell:
        shell.run("modprobe vfio-pci")
    return guest


@pytest.fixture
async def passing_client(passing: VmGuest) -> AsyncIterator[AgentClient]:
    async with AgentClient.connect(passing.address) as client:
        yield client


async def test_a_device_is_passed_on(
    passing: VmGuest, passing_client: AgentClient, tmp_path: Path
) -> None:
    with Plug(passing, tmp_path) as passing_plug:
        passing_plug.device("virtio-rng-pci", bus="rp1")
        message = request(
            "ls /dev/vfio; head -c 0 /dev/vfio/* && env",
            devices=[
                Device(
                    type="vfio-pci",
                    id="0",
                    container_path="/dev/vfio/77",
                    options=["0000:3b:00.1=09/00"],
                )
            ],
            nodes=[node("/dev/vfio/77", 240, 7, "c")],
            env=HOST,
        )
        lines = (await output(passing_client, message)).splitlines()
        # The container may open the group, whose number is the guest's.
        assert lines[0].isdigit()
        assert lines[0] != "77"
        assert sorted(line for line in lines if "00.0" in line) == [
            "PCIDEVICE_X=0000:02:00.0",
            'PCIDEVICE_X_INFO={"0000:02:00.0": {}}',
        ]
        assert "OTHER=0000:3b:00.1" in lines


async def test_a_device_that_the_guests_kernel_keeps(
    passing: VmGuest, passing_client: AgentClient, tmp_path: Path
) -> None:
    with Plug(passing, tmp_path) as passing_plug:
        passing_plug.device("virtio-net-pci", bus="pci-bridge-0", addr="4")
        message = request(
            "env | grep PCI; ls -d /sys/bus/pci/devices/$PCIDEVICE_X/virtio*/net",
            devices=[
                Device(
                    type="vfio-pci-gk",
                    id="0",
                    container_path="/dev/vfio/77",
                    options=["0000:3b:00.1=10/04", "0000:3b:00.2="],
                )
            ],
            env=HOST,
        )
        lines = (await output(passing_client, message)).splitlines()
        assert "PCIDEVICE_X=0000:03:04.0" in lines
        assert lines[-1].startswith("/sys/bus/pci/devices/0000:03:04.0/virtio")


async def test_a_device_to_pass_on_that_does_not_come(
    passing_client: AgentClient,
) -> None:
    device = Device(
        type="vfio-pci",
        id="0",
        container_path="/dev/vfio/77",
        options=["0000:3b:00.1=09/00"],
    )
    with pytest.raises(
        StatusError, match="timeout after 1s waiting for a PCI device at PCI path 09/00"
    ):
        await output(passing_client, request("true", devices=[device]))
