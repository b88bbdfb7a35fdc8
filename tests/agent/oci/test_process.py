# SPDX-License-Identifier: Apache-2.0
"""The process of an exec, completed from its container."""

from __future__ import annotations

from kata_agent.oci.process import Requested, inherit
from kata_agent.oci.spec import Spec


def process(**fields: object) -> Spec:
    return {"noNewPrivileges": False, "oomScoreAdj": 0, **fields}


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
