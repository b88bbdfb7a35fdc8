# SPDX-License-Identifier: Apache-2.0
"""`python -m kata_host.guest.holder JSON`: hold a guest until SIGTERM or its end.

    kata-agent-ctl guest start ──> holder ──> QEMU and backend, or a local guest
                               <── lines of JSON: any number of {"warning": ...}, then
                                   {"address": ...}, {"exists": ...} or {"error": ...}
                               ──> one byte, once the guest is the user's

The holder outlives the command that started it, in a session of its own. A command that
ends before it has written that byte, in any way, takes the guest with it. The holder
locks the guest's entry of the registry (`registry.py`), and the kernel releases that
lock when the holder ends in any way.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from typing import Final

from kata_host.guest import registry
from kata_host.guest.guest import GuestError, OwnGuest
from kata_host.guest.guest_entry import GuestEntry
from kata_host.guest.held_entry import HeldEntry
from kata_host.guest.start_request import StartRequest
from kata_host.interrupted import Interrupted
from kata_host.interruption import INTERRUPTION
from kata_host.starter import forget_starter

WAIT_SECONDS: Final = 3600.0
"""Seconds of one wait for the guest's end; a wait that expires is repeated."""


def main() -> int:
    """Hold the guest of the request in argv; return the exit status."""
    forget_starter()
    request = StartRequest(**json.loads(sys.argv[1]))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    INTERRUPTION.install()
    threading.Thread(target=_watch_command, args=(os.dup(0),), daemon=True).start()
    try:
        hold(request)
    except Interrupted:
        return 0
    except registry.GuestExists as error:
        report(exists=str(error))
        return 1
    except (GuestError, OSError) as error:
        report(error=str(error))
        return 1
    return 0


def hold(request: StartRequest) -> None:
    """Start the guest, report its address, and wait for its end.

    Raises `GuestError`, `OSError` and `Interrupted`.
    """
    entry = GuestEntry(
        request.name,
        request.kind,
        pid=os.getpid(),
        started=time.time(),
        network=request.network,
    )
    held = ending = None
    try:
        with INTERRUPTION.uninterrupted():
            held = HeldEntry(request.name)
            held.write(entry)
        # A holder that was killed leaves the directory of its guest behind.
        held.remove_directory()
        guest = to_guest(request)
        with contextlib.ExitStack() as stack:
            # Registered first, because a signal may interrupt the start.
            stack.callback(guest.stop)
            guest.start()
            entry = replace(entry, address=guest.address)
            held.write(entry)
            report(address=guest.address)
            while ending is None:
                ending = guest.ending(WAIT_SECONDS)
        held.write(replace(entry, address="", ending=ending))
    finally:
        with INTERRUPTION.uninterrupted():
            if held is not None:
                if ending is None:
                    held.remove()
                held.close()


def to_guest(request: StartRequest) -> OwnGuest:
    """Return the guest that is asked for, not started. May build the image."""
    directory = registry.directory_of(request.name)
    if request.kind == "vm":
        from kata_host.guest.vm_command import Machine
        from kata_host.guest.vm_guest import VmGuest
        from kata_host.guest.vm_image import ready_image

        machine = Machine(
            memory=request.memory,
            cpus=request.cpus,
            kernel_parameters=request.parameters,
            network=request.network,
            devices=request.devices,
        )
        if request.is_warm:
            from kata_host.guest.warm_vm_guest import WarmVmGuest

            image = ready_image()
            return WarmVmGuest(image, directory, machine=machine, warn=warn)
        return VmGuest(ready_image(), directory, machine=machine)
    from kata_host.guest.local_guest import LocalGuest

    return LocalGuest(directory, parameters=request.parameters, network=request.network)


def warn(text: str) -> None:
    """Write a line of JSON for the command, which tells the user."""
    _write(warning=text)


def report(**words: str) -> None:
    """Write the last line of JSON, then let go of the command's standard streams."""
    _write(**words)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)


def _write(**words: str) -> None:
    # The command may have ended.
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(words), flush=True)


def _watch_command(fd: int) -> None:
    """End this process if the command ends before it says that it has the guest."""
    if not os.read(fd, 1):
        os.kill(os.getpid(), signal.SIGTERM)
    os.close(fd)


if __name__ == "__main__":
    sys.exit(main())
