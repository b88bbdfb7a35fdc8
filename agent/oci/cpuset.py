# SPDX-License-Identifier: Apache-2.0
"""CPU sets, reduced to the CPUs and memory nodes of this guest.

The host sends numbers of its own CPUs. CPUs that the guest does not have are left out;
when none is left, the container is not confined at all.
"""

from __future__ import annotations

from pathlib import Path

from kata_agent.errors import InvalidArgument
from kata_agent.oci.spec import Spec


def parse_list(text: str) -> set[int]:
    """Return the numbers of a kernel list like `0-3,7` (man 7 cpuset).

    Raises `InvalidArgument` for any other text.
    """
    numbers: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise InvalidArgument(f"cpuset {text!r}: {part!r} is not a number or range")
        start, end = int(first), int(last or first)
        if end < start or end > 1 << 16:
            raise InvalidArgument(f"cpuset {text!r}: invalid range {part!r}")
        numbers.update(range(start, end + 1))
    return numbers


def serialize_list(numbers: set[int]) -> str:
    """Return the kernel list of `numbers`."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges)


def clamp_cpuset(resources: Spec, sys: Path) -> None:
    """Reduce `cpu.cpus` and `cpu.mems` of OCI resources to the online ones."""
    cpu = resources.get("cpu", {})
    for key, file in (
        ("cpus", "devices/system/cpu/online"),
        ("mems", "devices/system/node/online"),
    ):
        if key not in cpu:
            continue
        wanted = parse_list(cpu[key])
        try:
            online = parse_list((sys / file).read_text())
        except FileNotFoundError:
            # A kernel without NUMA has only node 0.
            online = {0}
        possible = wanted & online
        if possible:
            cpu[key] = serialize_list(possible)
        else:
            del cpu[key]
    if not cpu:
        resources.pop("cpu", None)
