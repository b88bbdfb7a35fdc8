# SPDX-License-Identifier: Apache-2.0
"""The command line of the benchmarks that start VMs, and what they ran on."""

from __future__ import annotations

import argparse
import platform
import subprocess
from collections.abc import Callable
from typing import TypeVar

from bench.document import replace_section
from kata_host.guest.image.build import ensure_current
from kata_host.guest.image.progress import Progress
from kata_host.guest.image.store import Image, cache
from kata_host.guest.vm_accelerator import choose_accelerator
from kata_host.guest.vm_command import QEMU

T = TypeVar("T")


def run_program(
    name: str,
    description: str | None,
    rounds: int,
    measure: Callable[[Image, int], T],
    table: Callable[[T, str], str],
) -> None:
    """Measure as the command line says, and print the table.

    The table goes into the section `name` too, if asked for. `table` takes what
    `measure` found and a description of the machine.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{name}", description=description
    )
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    image = ensure_current(Progress())
    found = measure(image, arguments.rounds)
    text = table(found, machine(choose_accelerator(image.kernel, cache())))
    print(text)
    if arguments.write:
        replace_section(name, text)


def machine(accelerator: str) -> str:
    """Describe the VMs' machine."""
    qemu = subprocess.run([QEMU, "--version"], stdout=subprocess.PIPE, text=True)
    version = qemu.stdout.split()[3]
    return f"QEMU {version}, {accelerator}, 1 CPU, {platform.machine()}"
