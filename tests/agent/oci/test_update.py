# SPDX-License-Identifier: Apache-2.0
"""Updates of one limit of a pair; in a kernel: `tests/vm/test_cgroup_v2.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.cgroup.supported_files import SupportedFiles
from kata_agent.errors import InvalidArgument
from kata_agent.oci.spec import Spec
from kata_agent.oci.update import prepare_update
from kata_agent.system_paths import SystemPaths

MIB = 1 << 20
DENY_ALL = {"allow": False, "type": "a", "access": "rwm"}
ALLOW_ALL = {"allow": True, "type": "a", "access": "rwm"}
KEPT: Spec = {
    "cpu": {"quota": 20_000, "period": 10_000},
    "memory": {"limit": 64 * MIB, "swap": 96 * MIB},
}


def update(
    directory: Path, resources: Spec, kept: Spec = KEPT, *, unified: bool = True
) -> Spec:
    """Prepare an update for a guest with all limits of CPU and memory."""
    if unified:
        (directory / "cgroup.controllers").touch()
    files = SupportedFiles(directory)
    files._found[""] = {"memory.max", "memory.swap.max", "cpu.max", "cpu.weight"}
    files._found["memory"] = {
        "memory.limit_in_bytes",
        "memory.memsw.limit_in_bytes",
    }
    files._found["cpu"] = {"cpu.cfs_quota_us", "cpu.cfs_period_us"}
    paths = SystemPaths(sys=directory)
    prepare_update(resources, kept, container_id="c1", files=files, paths=paths)
    return resources


@pytest.mark.parametrize(
    ("sent", "complete"),
    [
        ({"quota": 30_000}, {"quota": 30_000, "period": 10_000}),
        ({"period": 50_000}, {"quota": 20_000, "period": 50_000}),
        ({"quota": 1_000, "period": 2_000}, {"quota": 1_000, "period": 2_000}),
        # No limit any more: the kernel keeps the period.
        ({"quota": -1}, {"quota": -1, "period": 10_000}),
        ({"quota": -1, "period": 5_000}, {"quota": -1, "period": 5_000}),
        ({"shares": 512}, {"shares": 512}),
    ],
)
def test_quota_and_period_complete_each_other(
    tmp_path: Path, sent: Spec, complete: Spec
) -> None:
    assert update(tmp_path, {"cpu": sent}) == {"cpu": complete}


@pytest.mark.parametrize("kept", [{}, {"cpu": {"quota": -1}}, {"cpu": {"shares": 5}}])
def test_a_period_stays_alone_without_a_quota(tmp_path: Path, kept: Spec) -> None:
    assert update(tmp_path, {"cpu": {"period": 7_000}}, kept) == {
        "cpu": {"period": 7_000}
    }


@pytest.mark.parametrize("unified", [True, False])
@pytest.mark.parametrize(
    ("sent", "complete"),
    [
        ({"limit": 32 * MIB}, {"limit": 32 * MIB, "swap": 96 * MIB}),
        ({"swap": 80 * MIB}, {"limit": 64 * MIB, "swap": 80 * MIB}),
        ({"swap": 64 * MIB}, {"limit": 64 * MIB, "swap": 64 * MIB}),
        # More memory than memory and swap together: no swap is left.
        ({"limit": 128 * MIB}, {"limit": 128 * MIB, "swap": 128 * MIB}),
        ({"limit": -1}, {"limit": -1}),
        ({"swap": -1}, {"swap": -1}),
    ],
)
def test_memory_and_swap_complete_each_other(
    tmp_path: Path, sent: Spec, complete: Spec, unified: bool
) -> None:
    resources = {"memory": dict(sent)}
    assert update(tmp_path, resources, unified=unified) == {"memory": complete}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"swap": 32 * MIB}, KEPT),
        ({"swap": 32 * MIB}, {}),
        ({"swap": 32 * MIB}, {"memory": {"limit": -1}}),
        ({"swap": 32 * MIB, "limit": 33 * MIB}, {}),
        ({"swap": 32 * MIB, "limit": -1}, KEPT),
    ],
)
def test_a_sum_that_is_less_than_the_memory_is_refused(
    tmp_path: Path, sent: Spec, kept: Spec
) -> None:
    with pytest.raises(InvalidArgument, match="'c1': memory and swap of 33554432"):
        update(tmp_path, {"memory": sent}, kept)


def test_version_1_has_a_file_for_quota_and_one_for_period(tmp_path: Path) -> None:
    resources = {"cpu": {"quota": 30_000}}
    assert update(tmp_path, resources, unified=False) == {"cpu": {"quota": 30_000}}


def test_rules_that_allow_devices_are_left_out_or_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert update(tmp_path, {"devices": [DENY_ALL]}) == {}
    assert caplog.records == []
    resources = {"devices": [DENY_ALL, ALLOW_ALL], "cpu": {"shares": 5}}
    assert update(tmp_path, resources) == {"cpu": {"shares": 5}}
    assert vars(caplog.records[0])["rules"] == 1
    with pytest.raises(InvalidArgument, match="'c1': device rules cannot be updated"):
        update(tmp_path, {"devices": [ALLOW_ALL]})
