# SPDX-License-Identifier: Apache-2.0
"""PCI devices for the vfio driver, in a tree; tests/vm has real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kata_agent.device import vfio
from kata_agent.errors import Internal, InvalidArgument, Timeout
from kata_protos.agent_pb2 import Device
from tests.helpers.sysfs import Sysfs

ROOT = "/devices/pci0000:00"


class Kernel(Sysfs):
    """A PCI bus whose devices have IOMMU groups."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.bus = self.paths.sys / "bus/pci"
        (self.bus / "devices").mkdir(parents=True)
        self.drivers = root / "drivers"

    def device(self, address: str, *, group: str | None, driver: str) -> Path:
        self.add("pci", f"{ROOT}/{address}", node=False)
        directory = self.paths.sys / ROOT.removeprefix("/") / address
        (self.bus / "devices" / address).symlink_to(directory)
        if group is not None:
            (directory / "iommu_group").symlink_to(f"/groups/{group}")
        (self.drivers / driver).mkdir(parents=True, exist_ok=True)
        (directory / "driver").symlink_to(self.drivers / driver)
        return directory


@pytest.fixture
async def kernel(tmp_path: Path) -> AsyncIterator[Kernel]:
    kernel = Kernel(tmp_path)
    yield kernel
    kernel.uevents.close()
    kernel.monitor.close()


def request(*options: str) -> Device:
    return Device(
        type="vfio-pci", id="0", container_path="/dev/vfio/7", options=options
    )


async def test_a_device_that_the_kernel_drives_has_an_address_and_no_node(
    kernel: Kernel,
) -> None:
    kernel.device("0000:00:02.0", group=None, driver="mlx5_core")
    found = await vfio.find_for_kernel(
        kernel.hotplug(0.2), request("0000:3b:00.1=02", "0000:3b:00.2=")
    )
    assert found.node is None
    assert found.pci_addresses == {"0000:3b:00.1": "0000:00:02.0"}


async def test_a_device_that_does_not_come_is_named(kernel: Kernel) -> None:
    with pytest.raises(Timeout, match="waiting for a PCI device at PCI path 03"):
        await vfio.find(kernel.hotplug(0.2), request("0000:3b:00.1=03"))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["nonsense"], "option 'nonsense' is not HOST_ADDRESS=PCI_PATH"),
        (["x=02"], "option 'x=02' is not HOST_ADDRESS=PCI_PATH"),
        (["0000:3b:00.1=zz"], "PCI path 'zz'"),
        ([], "device '/dev/vfio/7': no PCI device in its options"),
    ],
)
async def test_an_option_of_another_form_is_refused(
    kernel: Kernel, options: list[str], error: str
) -> None:
    with pytest.raises(InvalidArgument, match=error):
        await vfio.find(kernel.hotplug(0.2), request(*options))


async def test_a_device_without_an_iommu_group_is_refused(kernel: Kernel) -> None:
    kernel.device("0000:00:02.0", group=None, driver="vfio-pci")
    with pytest.raises(Internal, match="PCI device 0000:00:02.0: in no IOMMU group"):
        await vfio.find(kernel.hotplug(0.2), request("0000:3b:00.1=02"))


async def test_devices_of_two_groups_are_refused(kernel: Kernel) -> None:
    for number in (2, 3):
        address = f"0000:00:0{number}.0"
        kernel.device(address, group=str(number), driver="vfio-pci")
    with pytest.raises(Internal, match="in several IOMMU groups"):
        await vfio.find(
            kernel.hotplug(0.2), request("0000:3b:00.1=02", "0000:3b:00.2=03")
        )


async def test_a_driver_that_keeps_its_device_is_an_error(kernel: Kernel) -> None:
    device = kernel.device("0000:00:02.0", group="4", driver="virtio-pci")
    with pytest.raises(Internal, match="the vfio-pci driver did not take it"):
        await vfio.find(kernel.hotplug(0.2), request("0000:3b:00.1=02"))
    # The kernel was asked for all of this.
    assert (device / "driver_override").read_text() == "vfio-pci"
    assert (kernel.drivers / "virtio-pci/unbind").read_text() == "0000:00:02.0"
    assert (kernel.bus / "drivers_probe").read_text() == "0000:00:02.0"
