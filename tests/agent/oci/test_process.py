# SPDX-License-Identifier: Apache-2.0
"""The process of a spec, fitted to this kernel and to its container."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from kata_agent.oci.process import APPARMOR, Requested, fit_process, inherit
from kata_agent.oci.spec import Spec
from kata_agent.system_paths import SystemPaths


def process(**fields: object) -> Spec:
    return {"noNewPrivileges": False, "oomScoreAdj": 0, **fields}


def test_a_limit_that_linux_does_not_have_is_dropped_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = {"type": "RLIMIT_NOFILE", "hard": 2, "soft": 1}
    novel = {"type": "RLIMIT_NOVEL", "hard": 2, "soft": 1}
    spec = process(rlimits=[novel, known])
    fit_process(spec, "c1", SystemPaths())
    assert spec["rlimits"] == [known]
    (record,) = caplog.records
    assert vars(record)["limits"] == ["RLIMIT_NOVEL"]
    assert vars(record)["container_id"] == "c1"


@pytest.mark.parametrize(
    ("enabled", "kept"), [("Y\n", True), ("N\n", False), (None, False)]
)
def test_a_profile_stays_where_apparmor_is_enabled(
    tmp_path: Path, enabled: str | None, kept: bool
) -> None:
    if enabled is not None:
        file = tmp_path / APPARMOR
        file.parent.mkdir(parents=True)
        file.write_text(enabled)
    spec = process(apparmorProfile="p")
    fit_process(spec, "c1", SystemPaths(sys=tmp_path))
    assert ("apparmorProfile" in spec) is kept


INIT = process(
    user={"uid": 7, "gid": 8, "additionalGids": [777, 50]},
    env=["A=b", "HOME=/init"],
    cwd="/tmp",
    capabilities={"bounding": ["CAP_KILL"]},
    selinuxLabel="l",
    noNewPrivileges=True,
    oomScoreAdj=7,
)
REQUESTED = Requested(("A=b",), (777,))


def test_an_exec_has_the_fields_of_its_container_that_it_leaves_out() -> None:
    executed = process()
    inherit(executed, INIT, REQUESTED, names_user=False)
    assert executed == {**INIT, "env": ["A=b"]}
    executed["user"]["uid"] = 9
    assert INIT["user"]["uid"] == 7


def test_an_exec_of_a_named_user_has_the_groups_that_the_host_asked_for() -> None:
    executed = process()
    inherit(executed, INIT, REQUESTED, names_user=True)
    assert executed["user"] == {"uid": 7, "gid": 8, "additionalGids": [777]}


def test_an_exec_keeps_its_own_fields() -> None:
    own = process(
        user={"uid": 0, "gid": 0},
        env=["C=d"],
        cwd="/",
        capabilities={},
        selinuxLabel="m",
        noNewPrivileges=True,
        oomScoreAdj=9,
    )
    executed = dict(own)
    inherit(executed, INIT, REQUESTED, names_user=True)
    assert executed == own


def test_the_requested_parts_are_those_before_the_names_are_resolved() -> None:
    asked = process(user={"uid": 1, "gid": 2}, env=["A=b"])
    assert Requested.from_process(asked) == Requested(("A=b",), ())
    asked["user"]["additionalGids"] = [777]
    assert Requested.from_process(asked).groups == (777,)


def test_a_warning_is_not_logged_for_known_limits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    fit_process(process(rlimits=[{"type": "RLIMIT_CORE"}]), "c1", SystemPaths())
    assert caplog.records == []
