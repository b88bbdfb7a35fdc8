# SPDX-License-Identifier: Apache-2.0
"""Starts and ends guests that outlive the process that starts them (`holder.py`)."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Final

from kata_host.child import child_environment, module_command
from kata_host.guest.guest import GuestError
from kata_host.guest.guest_entry import GuestEntry, GuestState
from kata_host.guest.held_entry import HeldEntry
from kata_host.guest.registry import GuestExists, GuestNotFound, find
from kata_host.guest.start_request import StartRequest
from kata_host.interruption import INTERRUPTION

STOP_TIMEOUT: Final = 30.0
"""Seconds that a guest may take to end, before it is killed."""


@contextlib.contextmanager
def started_holder(request: StartRequest) -> Iterator[subprocess.Popen[bytes]]:
    """Start the process that holds the guest; end both if the block fails.

    In the block, `address_of_held` waits for the guest, and `let_go_of_guest` has both
    stay.
    """
    with INTERRUPTION.uninterrupted():
        holder = subprocess.Popen(
            module_command("kata_host.guest.holder", json.dumps(asdict(request))),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A reader of our own standard error would otherwise wait for the guest's
            # end.
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=child_environment(),
        )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        yield holder
    except BaseException:
        with INTERRUPTION.uninterrupted():
            holder.stdin.close()
            holder.terminate()
            holder.wait()
            _forget_lost(request.name)
        raise
    finally:
        holder.stdin.close()
        holder.stdout.close()


def address_of_held(
    holder: subprocess.Popen[bytes], warn: Callable[[str], None]
) -> str:
    """Return the agent's address, once the guest runs; `warn` is told what is odd.

    Raises `GuestExists` if a guest has the name, and `GuestError`.
    """
    assert holder.stdout is not None
    for line in holder.stdout:
        match json.loads(line):
            case {"warning": str(text)}:
                warn(text)
            case {"exists": str(text)}:
                raise GuestExists(text)
            case {"error": str(text)}:
                raise GuestError(text)
            case {"address": str(address)}:
                return address
    raise GuestError("guest's holder was killed")


def let_go_of_guest(holder: subprocess.Popen[bytes]) -> None:
    """Tell the holder that the guest is the user's from now on."""
    assert holder.stdin is not None
    INTERRUPTION.finish()
    with contextlib.suppress(BrokenPipeError):
        holder.stdin.write(b"\n")
        holder.stdin.flush()


def stop_guest(name: str) -> None:
    """End a guest, or forget one that has ended. Raises `GuestError` and `OSError`."""
    from kata_host.guest.local_guest import sweep

    entry, state = find(name)
    if state.is_held:
        if not entry.pid:
            raise GuestError(f"guest '{name}': still starting")
        _end_holder(entry)
    if state is GuestState.LOST and entry.kind != "vm":
        sweep()
    # A holder that was killed has not removed the entry.
    with contextlib.suppress(GuestNotFound):
        find(name)
        with HeldEntry(name) as held:
            held.remove()


def _forget_lost(name: str) -> None:
    """Remove the entry of a holder that was killed while it started the guest."""
    # The user needs the error of the start.
    with contextlib.suppress(GuestError, OSError):
        if find(name)[1] is GuestState.LOST:
            stop_guest(name)


def _end_holder(entry: GuestEntry) -> None:
    try:
        pidfd = os.pidfd_open(entry.pid)
    except ProcessLookupError:
        return
    try:
        # Read again: the pid is still the holder's if the entry is still held.
        if find(entry.name)[0].pid != entry.pid:
            return
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        if not select.select([pidfd], [], [], STOP_TIMEOUT)[0]:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [])
    except (ProcessLookupError, GuestNotFound):
        return
    finally:
        os.close(pidfd)
