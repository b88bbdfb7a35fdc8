# SPDX-License-Identifier: Apache-2.0
"""The filter of system calls: LinuxSeccomp to the spec's `linux.seccomp`.

runtime-rs gives each rule an `errnoret` of 0, which stands for none. The OCI runtime
then takes its default, EPERM, and it refuses the field for an action that returns none.
"""

from __future__ import annotations

from typing import Final

from kata_agent.errors import InvalidArgument
from kata_agent.oci.presence import without_none
from kata_agent.oci.spec import Spec
from kata_protos import oci_pb2

WITH_ERROR_NUMBER: Final = ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE")
"""Actions that return the rule's error number (man 3 seccomp_rule_add)."""
NOTIFY: Final = "SCMP_ACT_NOTIFY"
"""Asks a listener, whose socket the wire's messages have no field for."""

FLAGS: Final = frozenset(
    f"SECCOMP_FILTER_FLAG_{name}"
    for name in ("TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV")
)
"""runtime-spec, config-linux.md. The kernel has more (man 2 seccomp), one of which
makes a listener. With those, crun 1.8 fails after the start, and says nothing."""


def seccomp_to_oci(message: oci_pb2.LinuxSeccomp) -> Spec | None:
    """Return the filter, or None without rules and without a default action.

    Raises `InvalidArgument` for an action that needs a listener, because its system
    calls would never return, and for a flag that the OCI spec does not have.
    """
    for flag in message.Flags:
        if flag not in FLAGS:
            raise InvalidArgument(f"seccomp: flag {flag!r}: unknown")
    actions = [message.DefaultAction, *(rule.Action for rule in message.Syscalls)]
    if NOTIFY in actions:
        raise InvalidArgument(f"seccomp: action {NOTIFY!r}, but there is no listener")
    if not message.DefaultAction and not message.Syscalls:
        return None
    return without_none(
        {
            "defaultAction": message.DefaultAction,
            "architectures": list(message.Architectures) or None,
            "flags": list(message.Flags) or None,
            "syscalls": [_seccomp_rule_to_oci(rule) for rule in message.Syscalls],
        }
    )


def _seccomp_rule_to_oci(message: oci_pb2.LinuxSyscall) -> Spec:
    return without_none(
        {
            "names": list(message.Names),
            "action": message.Action,
            "errnoRet": message.errnoret or None
            if message.Action in WITH_ERROR_NUMBER
            else None,
            "args": [
                {
                    "index": argument.Index,
                    "value": argument.Value,
                    "valueTwo": argument.ValueTwo,
                    "op": argument.Op,
                }
                for argument in message.Args
            ]
            or None,
        }
    )
