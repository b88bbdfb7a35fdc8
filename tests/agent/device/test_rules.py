# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kata_agent.device import rules
from kata_agent.device.node import DeviceNode
from kata_agent.device.rules import DEFAULTS, complete_rules, read_own_disks
from kata_agent.errors import NotFound
from kata_agent.system_paths import SystemPaths

MOUNTS = """\
20 1 {root} / / ro - erofs /dev/root ro
21 20 0:5 / /dev rw - devtmpfs dev rw
22 20 8:32 / {run}/kata-containers/sandbox/storage/a rw - ext4 /dev/sdc rw
23 20 8:48 / {run}/kata-containers-not rw - ext4 /dev/sdd rw
"""


class Guest:
    """A guest whose root is on the disk with the numbers `disk` (MAJOR:MINOR)."""

    def __init__(self, root: Path, disk: str) -> None:
        self.paths = SystemPaths(
            proc=root / "proc", sys=root / "sys", dev=root / "dev", run=root / "run"
        )
        for directory in (root / "proc/self", root / "dev"):
            directory.mkdir(parents=True)
        mounts = MOUNTS.format(root=disk, run=self.paths.run)
        (root / "proc/self/mountinfo").write_text(mounts)
        (root / "sys/dev/block").mkdir(parents=True)

    def block(self, name: str, numbers: str, *slaves: str, partition: str = "") -> None:
        """Put a block device into sysfs."""
        devices = self.paths.sys / "devices"
        directory = devices / partition / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "dev").write_text(f"{numbers}\n")
        if partition:
            (directory / "partition").write_text("1\n")
        (directory / "slaves").mkdir()
        for slave in slaves:
            (directory / "slaves" / Path(slave).name).symlink_to(devices / slave)
        (self.paths.sys / "dev/block" / numbers).symlink_to(directory)


def test_the_root_disk_is_the_guest_s_own_and_a_volume_is_not(tmp_path: Path) -> None:
    guest = Guest(tmp_path, "254:0")
    guest.block("vda", "254:0")
    assert read_own_disks(guest.paths) == [(8, 48), (254, 0)]


def test_the_disk_of_a_partition_is_the_guest_s_own_too(tmp_path: Path) -> None:
    guest = Guest(tmp_path, "259:1")
    guest.block("pmem0", "259:0")
    guest.block("pmem0p1", "259:1", partition="pmem0")
    assert read_own_disks(guest.paths) == [(8, 48), (259, 0), (259, 1)]


def test_the_partitions_below_a_verity_root_are_the_guest_s_own_too(
    tmp_path: Path,
) -> None:
    guest = Guest(tmp_path, "252:0")
    guest.block("vda", "254:0")
    guest.block("vda1", "254:1", partition="vda")
    guest.block("vda2", "254:2", partition="vda")
    guest.block("dm-0", "252:0", "vda/vda1", "vda/vda2")
    own = [(8, 48), (252, 0), (254, 0), (254, 1), (254, 2)]
    assert read_own_disks(guest.paths) == own


def test_a_swap_disk_is_the_guest_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = Guest(tmp_path, "254:0")
    (guest.paths.proc / "swaps").write_text(
        "Filename\tType\tSize\tUsed\tPriority\n"
        "/dev/sdx partition 16380 0 -2\n"
        "/dev/gone partition 16380 0 -3\n"
        "/swap\\040file file 16380 0 -4\n"
    )

    def read_node(path: Path) -> DeviceNode:
        if path != guest.paths.dev / "sdx":
            raise NotFound(str(path))
        return DeviceNode("b", 8, 96)

    monkeypatch.setattr(rules, "read_node", read_node)
    assert read_own_disks(guest.paths) == [(8, 48), (8, 96), (254, 0)]


def allowed(spec: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (rule["allow"], rule.get("type"), rule.get("major"), rule.get("minor"))
        for rule in spec["linux"]["resources"]["devices"]
    ]


def test_a_spec_without_rules_gets_the_default_ones() -> None:
    spec: dict[str, Any] = {
        "linux": {
            "devices": [
                {"path": "/dev/a", "type": "b", "major": 8, "minor": 1},
                {"path": "/dev/u", "type": "u", "major": 10, "minor": 2},
                {"path": "/dev/p", "type": "p"},
            ]
        }
    }
    complete_rules(spec, [(254, 0)])
    assert allowed(spec)[0] == (False, None, None, None)
    assert allowed(spec)[len(DEFAULTS) :] == [
        (True, "b", 8, 1),
        (True, "c", 10, 2),
        (False, "b", 254, 0),
    ]


def test_rules_of_the_host_stay_and_ours_come_last() -> None:
    anything = {"allow": True, "access": "rwm"}
    spec: dict[str, Any] = {
        "linux": {"resources": {"pids": {"limit": 9}, "devices": [anything]}}
    }
    complete_rules(spec, [(254, 0), (254, 1)])
    assert allowed(spec) == [
        (True, None, None, None),
        (False, "b", 254, 0),
        (False, "b", 254, 1),
    ]
    assert spec["linux"]["resources"]["pids"] == {"limit": 9}
