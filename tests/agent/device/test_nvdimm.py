# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_agent.device import nvdimm
from kata_agent.errors import InvalidArgument, Timeout
from kata_protos.agent_pb2 import Device
from tests.helpers.sysfs import Sysfs

REGION = "/devices/LNXSYSTM:00/ndbus0/region0"


async def test_persistent_memory_is_found_by_its_name(sysfs: Sysfs) -> None:
    sysfs.add("block", f"{REGION}/block/pmem1", node=False)
    (sysfs.paths.dev / "pmem1").symlink_to("/dev/zero")
    match = await nvdimm.find(sysfs.hotplug(), Device(vm_path="/dev/pmem1"))
    assert match.node is not None
    assert (match.node.major, match.node.minor) == (1, 5)


async def test_a_longer_number_is_another(sysfs: Sysfs) -> None:
    sysfs.add("block", f"{REGION}/block/pmem11")
    with pytest.raises(Timeout, match="persistent memory device /dev/pmem1"):
        await nvdimm.wait_for_disk(sysfs.hotplug(0.01), "/dev/pmem1")


@pytest.mark.parametrize(
    "path", ["/dev/vda", "/dev/pmem", "/dev/pmem0p1", "/dev/x/pmem0"]
)
async def test_another_name_is_refused(sysfs: Sysfs, path: str) -> None:
    with pytest.raises(InvalidArgument, match="not a persistent memory device"):
        await nvdimm.wait_for_disk(sysfs.hotplug(), path)
