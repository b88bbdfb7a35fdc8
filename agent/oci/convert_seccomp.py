# SPDX-License-Identifier: Apache-2.0
"""The filter of system calls: LinuxSeccomp to the spec's `linux.seccomp`."""

from __future__ import annotations

from kata_agent.oci.presence import without_none
from kata_agent.oci.spec import Spec
from kata_protos import oci_pb2


def seccomp_to_oci(message: oci_pb2.LinuxSeccomp) -> Spec | None:
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
            "errnoRet": message.errnoret if message.HasField("errnoret") else None,
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
