# SPDX-License-Identifier: Apache-2.0
"""The filter of system calls, from the messages of the wire."""

from __future__ import annotations

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.oci.convert_seccomp import seccomp_to_oci
from kata_protos import oci_pb2
from tests.helpers.domain import container_request, open_sandbox, output_of
from tests.helpers.namespace import World, in_namespaces


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


@pytest.mark.parametrize(
    ("action", "sent", "kept"),
    [
        ("SCMP_ACT_ERRNO", 38, 38),
        ("SCMP_ACT_TRACE", 38, 38),
        ("SCMP_ACT_ERRNO", 0, None),
        ("SCMP_ACT_TRACE", 0, None),
        ("SCMP_ACT_ALLOW", 0, None),
        ("SCMP_ACT_KILL_PROCESS", 0, None),
        # crun refuses a number here, and the kernel would not use it.
        ("SCMP_ACT_ALLOW", 1, None),
        ("SCMP_ACT_LOG", 1, None),
    ],
)
def test_an_error_number_is_kept_where_its_action_returns_it(
    action: str, sent: int, kept: int | None
) -> None:
    """runtime-rs sends 0 with every rule, the Go runtime sends none."""
    message = oci_pb2.LinuxSeccomp(DefaultAction="SCMP_ACT_KILL")
    message.Syscalls.add(Names=["mkdir"], Action=action, errnoret=sent)
    filtered = seccomp_to_oci(message)
    assert filtered is not None
    assert filtered["syscalls"][0].get("errnoRet") == kept


def test_an_action_that_needs_a_listener_is_refused() -> None:
    in_a_rule = oci_pb2.LinuxSeccomp(DefaultAction="SCMP_ACT_ALLOW")
    in_a_rule.Syscalls.add(Names=["mkdir"], Action="SCMP_ACT_NOTIFY")
    for message in (in_a_rule, oci_pb2.LinuxSeccomp(DefaultAction="SCMP_ACT_NOTIFY")):
        with pytest.raises(
            InvalidArgument,
            match="^seccomp: action 'SCMP_ACT_NOTIFY', but there is no listener$",
        ):
            seccomp_to_oci(message)


def test_the_flags_of_the_oci_spec_are_kept() -> None:
    """runtime-rs has the four of oci-spec-rs; the Go runtime passes any on."""
    flags = [f"SECCOMP_FILTER_FLAG_{x}" for x in ("LOG", "SPEC_ALLOW", "TSYNC")]
    message = oci_pb2.LinuxSeccomp(DefaultAction="SCMP_ACT_ALLOW", Flags=flags)
    filtered = seccomp_to_oci(message)
    assert filtered is not None
    assert filtered["flags"] == flags


@in_namespaces("v1")
async def test_a_flag_that_makes_a_listener_is_refused(world: World) -> None:
    """Of a profile for a host's runtime; crun would end the container at its start."""
    async with open_sandbox() as sandbox:
        request = container_request("c1", "true")
        seccomp = request.OCI.Linux.Seccomp
        seccomp.DefaultAction = "SCMP_ACT_ALLOW"
        seccomp.Flags.append("SECCOMP_FILTER_FLAG_NEW_LISTENER")
        with pytest.raises(
            InvalidArgument,
            match="^seccomp: flag 'SECCOMP_FILTER_FLAG_NEW_LISTENER': unknown$",
        ):
            await sandbox.create_container(request)


@in_namespaces("v1", "v2")
async def test_a_rule_of_runtime_rs_without_an_error_number_gives_eperm(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "busybox", "mkdir", "/tmp/x")
        seccomp = request.OCI.Linux.Seccomp
        seccomp.DefaultAction = "SCMP_ACT_ALLOW"
        for action, names in (
            ("SCMP_ACT_ERRNO", ["mkdir", "mkdirat"]),
            ("SCMP_ACT_ALLOW", ["personality"]),
        ):
            seccomp.Syscalls.add(Action=action, Names=names, errnoret=0)
        assert "Operation not permitted" in await output_of(sandbox, request)
