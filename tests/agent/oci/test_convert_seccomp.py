# SPDX-License-Identifier: Apache-2.0
"""The filter of system calls, from the messages of the wire."""

from __future__ import annotations

from kata_agent.oci.convert_seccomp import seccomp_to_oci
from kata_protos import oci_pb2


def test_an_empty_message_is_no_filter() -> None:
    assert seccomp_to_oci(oci_pb2.LinuxSeccomp()) is None


def test_a_filter_has_its_rules_in_order() -> None:
    message = oci_pb2.LinuxSeccomp(DefaultAction="SCMP_ACT_ERRNO")
    message.Syscalls.add(Names=["read", "write"], Action="SCMP_ACT_ALLOW")
    message.Syscalls.add(Names=["mkdir"], Action="SCMP_ACT_ERRNO", errnoret=5)
    assert seccomp_to_oci(message) == {
        "defaultAction": "SCMP_ACT_ERRNO",
        "syscalls": [
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
        ],
    }


def test_an_error_number_of_zero_is_not_one_that_is_absent() -> None:
    message = oci_pb2.LinuxSeccomp(DefaultAction="SCMP_ACT_ALLOW")
    rule = message.Syscalls.add(Names=["read"], Action="SCMP_ACT_ERRNO", errnoret=0)
    filtered = seccomp_to_oci(message)
    assert filtered is not None
    assert filtered["syscalls"][0]["errnoRet"] == 0
    rule.ClearField("errnoret")
    filtered = seccomp_to_oci(message)
    assert filtered is not None
    assert "errnoRet" not in filtered["syscalls"][0]
