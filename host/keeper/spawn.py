# SPDX-License-Identifier: Apache-2.0
"""Starts the process that keeps a detached container."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from kata_host.child import child_environment, module_command
from kata_host.guest.guest import GuestError
from kata_host.interruption import INTERRUPTION
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.keep_request import KeepRequest

READY = b"ready\n"


@contextlib.contextmanager
def spawned_keeper(
    held: HeldRecord, address: str, listeners: Sequence[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Have a keeper at hand for the block, which `let_go` gives the container to.

    `listeners` are the descriptors of the record's ports, which the keeper serves then.
    A keeper that was given nothing is ended with the block.
    """
    request = json.dumps(asdict(KeepRequest(held.fd, address, listeners)))
    with INTERRUPTION.uninterrupted():
        keeper = subprocess.Popen(
            module_command("kata_host.keeper", request),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(held.fd, *listeners),
            env=child_environment(),
        )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        yield keeper
    except BaseException:
        with INTERRUPTION.uninterrupted():
            keeper.kill()
            keeper.wait()
        raise
    finally:
        keeper.stdin.close()
        keeper.stdout.close()


def let_go(keeper: subprocess.Popen[bytes], container: str) -> None:
    """Give the container to its keeper. Raises `GuestError`."""
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    if keeper.stdout.readline() != READY:
        raise GuestError(f"container '{container}': its keeper was killed")
    INTERRUPTION.finish()
    with contextlib.suppress(BrokenPipeError):
        keeper.stdin.write(b"\n")
        keeper.stdin.flush()
