# SPDX-License-Identifier: Apache-2.0
"""Space on file systems: which ones are on the page, each of them once."""

from __future__ import annotations

import os
from pathlib import Path

from kata_agent.metrics.filesystem import filesystem_families
from kata_agent.metrics.page import page
from kata_agent.system_paths import SystemPaths
from kata_tracing.counters import Counters


def guest(root: Path, *lines: str) -> SystemPaths:
    (root / "self").mkdir()
    text = "".join(f"30 25 {line} rw\n" for line in lines)
    (root / "self/mountinfo").write_bytes(os.fsencode(text))
    return SystemPaths(proc=root)


def test_a_disk_mounted_twice_is_shown_once(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    paths = guest(
        tmp_path,
        f"254:1 / {tmp_path} rw - ext4 /dev/vda",
        f"254:1 /x {tmp_path}/again rw - ext4 /dev/vda",
        f"0:30 / {tmp_path} rw - tmpfs tmpfs",
        "254:2 / /nowhere rw - xfs /dev/vdb",
    )
    space, inodes = filesystem_families(paths)
    room = os.statvfs(tmp_path)
    assert [labels for labels, _ in space.samples] == [
        {"mount": str(tmp_path), "device": "vda", "item": item}
        for item in ("total", "used", "available")
    ]
    assert space.samples[0][1] == room.f_blocks * room.f_frsize
    assert len(inodes.samples) == 3


def test_a_mount_point_of_strange_bytes(tmp_path: Path) -> None:
    """A container can choose any bytes for a name; the page is text all the same."""
    name = b'a"\\\n\xff'
    directory = os.fsencode(tmp_path) + b"/" + name
    os.mkdir(directory)
    escaped = b'a"\\134\\012\xff'
    paths = guest(
        tmp_path, f"254:1 / {tmp_path}/{os.fsdecode(escaped)} rw - ext4 /dev/vda"
    )
    for file in ("stat", "status", "io"):
        (tmp_path / "self" / file).write_bytes((Path("/proc/self") / file).read_bytes())
    text = page(paths, scrapes=1, spans=Counters())
    assert f'mount="{tmp_path}/a\\"\\\\\\n?"' in text


def test_a_disk_has_the_name_that_its_counters_have(tmp_path: Path) -> None:
    """Dashboards join the families of a disk by the name in /proc/diskstats."""
    paths = guest(
        tmp_path,
        f"254:1 / {tmp_path} rw - ext4 /dev/root",
        f"0:30 / {tmp_path} rw - overlay overlay",
        f"253:0 / {tmp_path} rw - xfs /dev/mapper/vg-data",
    )
    (tmp_path / "diskstats").write_text(
        " 254       1 vda1 5 0 6 7\n 253       0 dm-0 1 2 3 4\n"
    )
    space, _ = filesystem_families(paths)
    devices = [labels["device"] for labels, _ in space.samples]
    assert sorted(set(devices)) == ["dm-0", "overlay", "vda1"]
