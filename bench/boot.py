# SPDX-License-Identifier: Apache-2.0
"""The time from the start of QEMU to the first answered `Check`, and its parts.

python -m bench.boot            measure and print
python -m bench.boot --write    the same, and keep the figures
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import statistics
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from bench.vm_program import run_program
from kata_host.client import AgentClient
from kata_host.guest.image.initrd import HANDOVER
from kata_host.guest.image.store import Image
from kata_host.guest.vm_command import Machine
from kata_host.guest.vm_guest import VmGuest

ROUNDS: Final = 5
CONSOLE: Final = 1026
TIMEOUT: Final = 120.0


@dataclass(frozen=True, slots=True)
class Boot:
    """The parts of one boot, in milliseconds."""

    qemu: float
    """Until the kernel's clock runs, and from the agent's readiness to the response."""
    kernel: float
    initrd: float
    imports: float
    """The start of the interpreter and the import of the agent's modules."""
    agent: float
    total: float


NAMES: Final = {
    "qemu": "QEMU, firmware, connecting",
    "kernel": "kernel",
    "initrd": "initrd: modules, root disk",
    "imports": "Python and the agent's modules",
    "agent": "agent: mounts, options, listening",
    "total": "**start of QEMU to the first answered Check**",
}


def boot(image: Image) -> Boot:
    """Boot one VM, and end it."""
    words = [f"agent.debug_console_vport={CONSOLE}"]
    guest = VmGuest(image, machine=Machine(kernel_parameters=words))
    started = time.monotonic()
    try:
        guest.launch()
        asyncio.run(_check(guest.address))
        total = (time.monotonic() - started) * 1000
        kernel, handover = _kernel_times(guest.socket)
        announced = _announcement(guest)
    finally:
        guest.stop()
    before, own = announced["before_agent_ms"], announced["agent_ms"]
    return Boot(
        qemu=total - before - own,
        kernel=kernel,
        initrd=handover - kernel,
        imports=before - handover,
        agent=own,
        total=total,
    )


async def _check(address: str) -> None:
    async with AgentClient.connect(address, timeout=TIMEOUT) as client:
        await client.check(TIMEOUT)


def _kernel_times(path: Path) -> tuple[float, float]:
    """Return the milliseconds at which the initrd started, and at which it ended."""
    with socket.socket(socket.AF_UNIX) as console:
        console.settimeout(TIMEOUT)
        console.connect(str(path))
        console.sendall(b"CONNECT %d\ndmesg; exit\n" % CONSOLE)
        text = b""
        while data := console.recv(65536):
            text += data
    times = []
    for words in ("Run /init as init process", HANDOVER):
        found = re.search(rf"\[ *(\d+\.\d+)\] .*{words}", text.decode())
        if found is None:
            raise RuntimeError(f"kernel log without {words!r}")
        times.append(float(found[1]) * 1000)
    return times[0], times[1]


def _announcement(guest: VmGuest) -> dict[str, float]:
    for line in guest.console_tail(1000):
        if '"msg": "announce"' in line:
            fields: dict[str, float] = json.loads(line)
            return fields
    raise RuntimeError("console without an announcement")


def table(boots: list[Boot], machine: str) -> str:
    """Return the medians as a table."""
    lines = [
        f"Medians of {len(boots)} boots, {machine}.",
        "",
        "| part | ms |",
        "|---|---|",
    ]
    for field in fields(Boot):
        value = statistics.median(getattr(boot, field.name) for boot in boots)
        lines.append(f"| {NAMES[field.name]} | {value:,.0f} |")
    return "\n".join(lines)


def measure(image: Image, rounds: int) -> list[Boot]:
    """Boot VMs one after another."""
    return [boot(image) for _ in range(rounds)]


if __name__ == "__main__":
    run_program("boot", __doc__, ROUNDS, measure, table)
