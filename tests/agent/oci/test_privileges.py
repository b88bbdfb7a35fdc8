# SPDX-License-Identifier: Apache-2.0
"""Settings of a process that the guest cannot make, fitted to it."""

from __future__ import annotations

import logging
import resource
from pathlib import Path
from typing import Any

import pytest

from kata_agent.oci.privileges import (
    APPARMOR,
    SELINUX,
    UNLIMITED,
    fit_privileges,
)
from kata_agent.oci.spec import Spec
from kata_agent.system_paths import SystemPaths

OWN = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
NR_OPEN = 1 << 24


def process(**fields: object) -> Spec:
    return {"oomScoreAdj": 0, **fields}


def limit(hard: int, soft: int, kind: str = "RLIMIT_NOFILE") -> dict[str, Any]:
    return {"type": kind, "hard": hard, "soft": soft}


@pytest.fixture
def paths(tmp_path: Path) -> SystemPaths:
    """A guest whose agent has every capability and the OOM score -997."""
    for directory in ("proc/self", "proc/sys/fs", "sys"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text("CapEff:\t000001ffffffffff\n")
    (tmp_path / "proc/self/oom_score_adj").write_text("-997\n")
    (tmp_path / "proc/sys/fs/nr_open").write_text(f"{NR_OPEN}\n")
    return SystemPaths(proc=tmp_path / "proc", sys=tmp_path / "sys")


@pytest.fixture
def poor(paths: SystemPaths) -> SystemPaths:
    """The same guest without CAP_SYS_RESOURCE."""
    (paths.proc / "self/status").write_text("CapEff:\t000001fffeffffff\n")
    return paths


def test_a_privileged_container_has_what_the_agent_has(
    poor: SystemPaths, caplog: pytest.LogCaptureFixture
) -> None:
    """containerd asks for all that the host's kernel has, for its execs too."""
    names = ["CAP_CHOWN", "CAP_SYS_RESOURCE", "CAP_CHECKPOINT_RESTORE"]
    spec = process(capabilities={"bounding": names, "ambient": []})
    fit_privileges(spec, "c1", poor)
    assert spec["capabilities"] == {
        "bounding": ["CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"],
        "ambient": [],
    }
    (record,) = caplog.records
    assert vars(record)["capabilities"] == ["CAP_SYS_RESOURCE"]
    assert vars(record)["container_id"] == "c1"


def test_a_limit_that_linux_does_not_have_is_dropped_with_a_warning(
    paths: SystemPaths, caplog: pytest.LogCaptureFixture
) -> None:
    known = limit(2, 1)
    spec = process(rlimits=[limit(2, 1, "RLIMIT_NOVEL"), known])
    fit_privileges(spec, "c1", paths)
    assert spec["rlimits"] == [known]
    (record,) = caplog.records
    assert vars(record)["limits"] == ["RLIMIT_NOVEL"]
    assert vars(record)["container_id"] == "c1"


# containerd's service has the limit "infinity", and passes it on to containers.
@pytest.mark.parametrize("asked", [UNLIMITED, NR_OPEN + 1])
def test_no_process_opens_more_files_than_the_kernel_allows(
    paths: SystemPaths, caplog: pytest.LogCaptureFixture, asked: int
) -> None:
    spec = process(
        rlimits=[limit(asked, asked), limit(UNLIMITED, UNLIMITED, "RLIMIT_CORE")]
    )
    fit_privileges(spec, "c1", paths)
    assert spec["rlimits"] == [
        limit(NR_OPEN, NR_OPEN),
        limit(UNLIMITED, UNLIMITED, "RLIMIT_CORE"),
    ]
    (record,) = caplog.records
    assert vars(record)["limits"] == ["RLIMIT_NOFILE"]


def test_a_limit_above_the_agent_s_needs_a_capability(poor: SystemPaths) -> None:
    spec = process(rlimits=[limit(OWN + 1, 5)])
    fit_privileges(spec, "c1", poor)
    assert spec["rlimits"] == [limit(OWN, 5)]


def test_a_limit_that_the_guest_can_give_stays(
    poor: SystemPaths, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    given = [limit(OWN - 1, 5), limit(0, 0, "RLIMIT_CORE")]
    spec = process(rlimits=[dict(each) for each in given], oomScoreAdj=-997)
    fit_privileges(spec, "c1", poor)
    assert spec == process(rlimits=given, oomScoreAdj=-997)
    assert caplog.records == []


def test_a_soft_limit_is_not_above_the_hard_one(paths: SystemPaths) -> None:
    spec = process(rlimits=[limit(5, 9)])
    fit_privileges(spec, "c1", paths)
    assert spec["rlimits"] == [limit(5, 5)]


def test_a_low_oom_score_needs_a_capability(
    poor: SystemPaths, caplog: pytest.LogCaptureFixture
) -> None:
    """The pause container of a pod has the score -998."""
    spec = process(oomScoreAdj=-998)
    fit_privileges(spec, "c1", poor)
    assert spec["oomScoreAdj"] == -997
    (record,) = caplog.records
    assert vars(record)["score"] == -998


def test_a_low_oom_score_stays_with_the_capability(paths: SystemPaths) -> None:
    spec = process(oomScoreAdj=-998)
    fit_privileges(spec, "c1", paths)
    assert spec["oomScoreAdj"] == -998


@pytest.mark.parametrize(
    ("enabled", "kept"), [("Y\n", True), ("N\n", False), (None, False)]
)
def test_a_profile_stays_where_apparmor_is_enabled(
    paths: SystemPaths,
    caplog: pytest.LogCaptureFixture,
    enabled: str | None,
    kept: bool,
) -> None:
    caplog.set_level(logging.INFO)
    if enabled is not None:
        file = paths.sys / APPARMOR
        file.parent.mkdir(parents=True)
        file.write_text(enabled)
    spec = process(apparmorProfile="cri-containerd.apparmor.d")
    fit_privileges(spec, "c1", paths)
    assert ("apparmorProfile" in spec) is kept
    lines = [record.message for record in caplog.records]
    assert lines == ([] if kept else ["kernel without AppArmor, profile dropped"])


@pytest.mark.parametrize("enabled", [True, False])
def test_labels_stay_where_selinux_is_enabled(
    paths: SystemPaths, caplog: pytest.LogCaptureFixture, enabled: bool
) -> None:
    caplog.set_level(logging.INFO)
    if enabled:
        file = paths.sys / SELINUX
        file.parent.mkdir(parents=True)
        file.write_text("1")
    spec = process(selinuxLabel="system_u:system_r:container_t:s0:c1,c2")
    linux = {"mountLabel": "system_u:object_r:container_file_t:s0:c1,c2"}
    fit_privileges(spec, "c1", paths, linux)
    assert ("selinuxLabel" in spec) is enabled
    assert ("mountLabel" in linux) is enabled
    lines = [record.message for record in caplog.records]
    assert lines == ([] if enabled else ["kernel without SELinux, labels dropped"])
