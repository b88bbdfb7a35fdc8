# SPDX-License-Identifier: Apache-2.0
"""`python -m kata_host.guest.holder JSON`: hold a guest until SIGTERM or its end.

    kata-agent-ctl guest start ──> holder ──> QEMU and backend, or a local guest
                               <── one line of JSON: {"address": ...} or {"error": ...}

It outlives the command that started it, in a session of its own. What it holds is
in its record (`record.py`), whose lock goes with it however it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Final

from kata_host.guest import record
from kata_host.guest.guest import Guest, GuestError
from kata_host.guest.record import HeldRecord, Record

LOOK_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Order:
    """What guest to start; `parameters` are options of the agent."""

    name: str
    kind: str
    """`local` or `vm`."""
    parameters: list[str] = field(default_factory=list)
    cpus: int = 1
    memory: int = 512
    """MiB; like `cpus`, for a VM."""


class Stopped(Exception):
    """SIGTERM has come."""


def main() -> int:
    order = Order(**json.loads(sys.argv[1]))
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        hold(order)
    except Stopped:
        return 0
    except (GuestError, OSError) as error:
        answer(error=str(error))
        return 1
    return 0


def hold(order: Order) -> None:
    """Start the guest, say so, and stay. Raises `GuestError` and `Stopped`."""
    told = Record(order.name, order.kind, pid=os.getpid(), started=time.time())
    ending = None
    with HeldRecord(order.name) as held:
        try:
            held.write(told)
            # Of a guest of that name whose holder was killed.
            shutil.rmtree(record.directory_of(order.name), ignore_errors=True)
            guest = to_guest(order)
            with contextlib.ExitStack() as stack:
                # Also when its start is interrupted.
                stack.callback(guest.stop)
                guest.start()
                told = replace(told, address=guest.address)
                held.write(told)
                answer(address=guest.address)
                while ending is None:
                    ending = guest.ending(LOOK_SECONDS)
            held.write(replace(told, address="", ending=ending))
        finally:
            if ending is None:
                held.remove()


def to_guest(order: Order) -> Guest:
    directory = record.directory_of(order.name)
    if order.kind == "vm":
        from kata_host.guest.image.build import ensure
        from kata_host.guest.image.progress import Progress
        from kata_host.guest.vm_command import Machine
        from kata_host.guest.vm_guest import VmGuest

        machine = Machine(
            memory=order.memory, cpus=order.cpus, kernel_parameters=order.parameters
        )
        return VmGuest(ensure(Progress()), directory, machine=machine)
    from kata_host.guest.local_guest import LocalGuest

    return LocalGuest(directory, parameters=order.parameters)


def answer(**words: str) -> None:
    """Tell the command; it may have gone."""
    try:
        print(json.dumps(words), flush=True)
    except BrokenPipeError:
        pass
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)


def _stop(number: int, frame: FrameType | None) -> None:
    # Once: what is stopped must not be stopped in the middle.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
