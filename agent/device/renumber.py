# SPDX-License-Identifier: Apache-2.0
"""Give a container's spec the guest's device numbers in place of the host's.

The host wrote the spec with its own numbers, in `linux.devices` and in the cgroup's
device rules. The rules of each device are looked up before the first number changes,
because one device's new numbers may be another's old ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from kata_agent.device.node import DeviceNode
from kata_agent.errors import InvalidArgument

Entry: TypeAlias = dict[str, Any]
"""A device, or a device rule, of the spec (runtime-spec, config-linux.md)."""


def renumber(spec: dict[str, Any], nodes: Mapping[str, DeviceNode]) -> None:
    """Put the numbers of each node into `spec`, in place.

    `nodes` are by the container path that the host asked for. A device that is given
    is meant to be used: if there are rules but none for the device, one that allows it
    is added. Raises `InvalidArgument`, before anything is changed, if the spec does not
    have one of the paths.
    """
    linux = spec.setdefault("linux", {})
    devices: dict[str, Entry] = {
        device["path"]: device for device in linux.get("devices") or []
    }
    rules = (linux.get("resources") or {}).get("devices") or []
    rules_of: dict[str, list[Entry]] = {}
    for path in nodes:
        if path not in devices:
            raise InvalidArgument(f"device {path!r}: not among the spec's devices")
        rules_of[path] = [rule for rule in rules if _is_rule_of(rule, devices[path])]
    for path, node in nodes.items():
        numbers = {"type": node.type, "major": node.major, "minor": node.minor}
        devices[path].update(numbers)
        if node.container_path is not None:
            devices[path]["path"] = node.container_path
        for rule in rules_of[path]:
            rule.update(numbers)
        if rules and not rules_of[path]:
            rules.append({"allow": True, **numbers, "access": "rwm"})


def _is_rule_of(rule: Entry, device: Entry) -> bool:
    return (rule.get("type"), rule.get("major"), rule.get("minor")) == (
        device.get("type"),
        device.get("major"),
        device.get("minor"),
    )
