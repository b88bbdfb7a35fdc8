# SPDX-License-Identifier: Apache-2.0
"""The limits of a container: LinuxResources to the spec's `linux.resources`."""

from __future__ import annotations

from typing import Final

from kata_agent.oci.presence import only_set, only_set_or_none, without_none
from kata_agent.oci.spec import Spec
from kata_protos import oci_pb2

_ANY_NUMBER: Final = -1
"""The wildcard for the major or minor number of a device rule, as clients write it."""


def resources_to_oci(message: oci_pb2.LinuxResources) -> Spec:
    """Return the `linux.resources` part, without the fields that are not set."""
    memory, cpu, pids = message.Memory, message.CPU, message.Pids
    network = message.Network
    return without_none(
        {
            "devices": [_device_rule_to_oci(rule) for rule in message.Devices] or None,
            "memory": only_set_or_none(
                limit=memory.Limit,
                reservation=memory.Reservation,
                swap=memory.Swap,
                kernel=memory.Kernel,
                kernelTCP=memory.KernelTCP,
                swappiness=memory.Swappiness,
                disableOOMKiller=memory.DisableOOMKiller,
            ),
            "cpu": only_set_or_none(
                shares=cpu.Shares,
                quota=cpu.Quota,
                period=cpu.Period,
                realtimeRuntime=cpu.RealtimeRuntime,
                realtimePeriod=cpu.RealtimePeriod,
                cpus=cpu.Cpus,
                mems=cpu.Mems,
            ),
            "pids": only_set_or_none(limit=pids.Limit),
            "blockIO": _block_io_to_oci(message.BlockIO),
            "hugepageLimits": [
                {"pageSize": limit.Pagesize, "limit": limit.Limit}
                for limit in message.HugepageLimits
            ]
            or None,
            "network": only_set_or_none(
                classID=network.ClassID,
                priorities=[
                    {"name": priority.Name, "priority": priority.Priority}
                    for priority in network.Priorities
                ],
            ),
        }
    )


def _device_rule_to_oci(message: oci_pb2.LinuxDeviceCgroup) -> Spec:
    rule: Spec = {
        "allow": message.Allow,
        "type": message.Type or "a",
        "access": message.Access,
    }
    # No device has the major number 0: a 0 was a wildcard that lost its presence on
    # the wire. Only rules that cannot open a device are read that way.
    harmless = not message.Allow or message.Access == "m" or rule["type"] == "a"
    if message.Major == _ANY_NUMBER or (message.Major == 0 and harmless):
        if message.Minor > 0:
            rule["minor"] = message.Minor
        return rule
    rule["major"] = message.Major
    if message.Minor != _ANY_NUMBER:
        rule["minor"] = message.Minor
    return rule


def _block_io_to_oci(message: oci_pb2.LinuxBlockIO) -> Spec | None:
    throttles = {
        "throttleReadBpsDevice": message.ThrottleReadBpsDevice,
        "throttleWriteBpsDevice": message.ThrottleWriteBpsDevice,
        "throttleReadIOPSDevice": message.ThrottleReadIOPSDevice,
        "throttleWriteIOPSDevice": message.ThrottleWriteIOPSDevice,
    }
    return only_set_or_none(
        weight=message.Weight,
        leafWeight=message.LeafWeight,
        weightDevice=[
            {"major": device.Major, "minor": device.Minor}
            | only_set(weight=device.Weight, leafWeight=device.LeafWeight)
            for device in message.WeightDevice
        ],
        **{
            name: [
                {"major": device.Major, "minor": device.Minor, "rate": device.Rate}
                for device in devices
            ]
            for name, devices in throttles.items()
        },
    )
