# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from agent.paths import SystemPaths
from agent.resources import (
    can_filter_devices,
    fit_resources,
    merge_resources,
    take_mknod,
)
from agent.spec import Spec


def test_what_only_version_1_has_is_left_out(tmp_path: Path) -> None:
    paths = SystemPaths(sys=tmp_path)
    memory = {"limit": 5, "kernel": 1, "swappiness": 3, "disableOOMKiller": True}
    resources: Spec = {"memory": dict(memory)}
    fit_resources(resources, paths, unified=False)
    assert resources == {"memory": memory}
    fit_resources(resources, paths, unified=True)
    assert resources == {"memory": {"limit": 5}}
    resources = {"memory": {"swappiness": 3}}
    fit_resources(resources, paths, unified=True)
    assert resources == {}


def test_huge_pages_that_the_kernel_has(tmp_path: Path) -> None:
    (tmp_path / "kernel/mm/hugepages/hugepages-2048kB").mkdir(parents=True)
    resources: Spec = {
        "hugepageLimits": [
            {"pageSize": "2MB", "limit": 1},
            {"pageSize": "1GB", "limit": 2},
            {"pageSize": "../x", "limit": 3},
        ]
    }
    fit_resources(resources, SystemPaths(sys=tmp_path), unified=False)
    assert resources == {"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]}


def test_device_filters_need_a_capability_in_version_2(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    status = tmp_path / "self/status"
    paths = SystemPaths(proc=tmp_path)
    status.write_text("CapEff:\t000001fffeffffff\n")
    assert can_filter_devices(paths, unified=False)
    assert not can_filter_devices(paths, unified=True)
    status.write_text("CapEff:\t000001ffffffffff\n")
    assert can_filter_devices(paths, unified=True)


def test_mknod_is_taken_from_every_set() -> None:
    process: Spec = {
        "capabilities": {
            "bounding": ["CAP_MKNOD", "CAP_KILL"],
            "ambient": ["CAP_MKNOD"],
        }
    }
    take_mknod(process)
    assert process == {"capabilities": {"bounding": ["CAP_KILL"], "ambient": []}}
    take_mknod({})


def test_an_update_leaves_what_it_does_not_name() -> None:
    resources: Spec = {"memory": {"limit": 5, "swap": 6}, "pids": {"limit": 1}}
    merge_resources(resources, {"memory": {"limit": 7}, "hugepageLimits": [1]})
    assert resources == {
        "memory": {"limit": 7, "swap": 6},
        "pids": {"limit": 1},
        "hugepageLimits": [1],
    }
