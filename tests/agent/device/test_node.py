# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kata_agent.device.node import DeviceNode, node_at, node_name, read_node
from kata_agent.errors import InvalidArgument, NotFound
from kata_agent.system_paths import SystemPaths
from tests.helpers.namespace import World, in_namespaces


def test_the_host_names_a_node_by_its_path_in_dev() -> None:
    assert node_name("/dev/vda") == "vda"
    assert node_at(SystemPaths(dev=Path("/x")), "/dev/vfio/7") == Path("/x/vfio/7")


@pytest.mark.parametrize(
    "path", ["", "/dev", "/dev/", "vda", "/etc/passwd", "/dev/../etc/a", "/dev//a"]
)
def test_a_path_outside_of_dev_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgument, match="not a node in /dev"):
        node_at(SystemPaths(), path)


def test_a_character_device_is_read() -> None:
    assert read_node(Path("/dev/null")) == DeviceNode("c", 1, 3)


@in_namespaces("v2")
async def test_a_block_device_is_read(world: World) -> None:
    node = Path("/run/disk")
    os.mknod(node, stat.S_IFBLK | 0o600, os.makedev(7, 255))
    assert read_node(node) == DeviceNode("b", 7, 255)


def test_a_node_that_is_missing_or_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="a: no such node"):
        read_node(tmp_path / "a")
    (tmp_path / "a").touch()
    with pytest.raises(InvalidArgument, match="a: not a device node"):
        read_node(tmp_path / "a")
