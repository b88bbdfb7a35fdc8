# SPDX-License-Identifier: Apache-2.0
"""Limits and device rules, from the messages of the wire."""

from __future__ import annotations

import pytest
from google.protobuf.json_format import ParseDict

from kata_agent.oci.convert_resources import resources_to_oci
from kata_protos import oci_pb2


def test_resources() -> None:
    resources = oci_pb2.LinuxResources()
    resources.Memory.Limit = -1
    resources.Memory.DisableOOMKiller = True
    resources.CPU.Cpus = "0-3"
    resources.Pids.Limit = -1
    resources.BlockIO.Weight = 100
    resources.BlockIO.ThrottleReadBpsDevice.add(Major=8, Minor=1, Rate=9)
    resources.HugepageLimits.add(Pagesize="2MB", Limit=7)
    assert resources_to_oci(resources) == {
        "memory": {"limit": -1, "disableOOMKiller": True},
        "cpu": {"cpus": "0-3"},
        "pids": {"limit": -1},
        "blockIO": {
            "weight": 100,
            "throttleReadBpsDevice": [{"major": 8, "minor": 1, "rate": 9}],
        },
        "hugepageLimits": [{"pageSize": "2MB", "limit": 7}],
    }


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # Wildcards that lost their presence, where that is harmless.
        ({"Access": "rwm"}, {"allow": False, "type": "a", "access": "rwm"}),
        (
            {"Allow": True, "Type": "c", "Access": "m"},
            {"allow": True, "type": "c", "access": "m"},
        ),
        # A rule that allows devices never gets a wildcard.
        (
            {"Allow": True, "Type": "b", "Access": "rwm"},
            {"allow": True, "type": "b", "access": "rwm", "major": 0, "minor": 0},
        ),
        (
            {"Allow": True, "Type": "c", "Major": 136, "Minor": -1, "Access": "rwm"},
            {"allow": True, "type": "c", "major": 136, "access": "rwm"},
        ),
        (
            {"Allow": True, "Type": "c", "Major": 1, "Minor": 3, "Access": "rw"},
            {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"},
        ),
    ],
)
def test_device_rules(rule: dict[str, object], expected: dict[str, object]) -> None:
    resources = oci_pb2.LinuxResources()
    ParseDict(rule, resources.Devices.add())
    assert resources_to_oci(resources)["devices"] == [expected]
