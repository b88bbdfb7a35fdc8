# SPDX-License-Identifier: Apache-2.0
"""A VM's state as a file: taken once, and continued by other VMs.

    VM that has booted:  vsock device out, stopped, its state to the file
    new QEMU:            state from the file, vsock device in, on it goes, made unlike
                         the others: randomness, clock

QEMU's stream of a migration is the file (QEMU, docs/devel/migration.rst). A vhost-user
vsock device cannot be migrated, so there is none meanwhile. The agent listens on any
context id, and does not notice.
"""

from __future__ import annotations

import os
import time
from typing import Final

from kata_host.guest.guest import GuestError
from kata_host.guest.qmp import Event, Qmp, QmpError
from kata_host.guest.vm_command import VSOCK, VSOCK_BUS, Sockets

PATIENCE: Final = 60.0
"""Seconds for QEMU, or for the guest, to do one step."""
ENTROPY: Final = 256
"""Bytes, more than the kernel's generator holds."""
_UNLIMITED: Final = 1 << 40
"""Bytes a second."""
_FILE: Final = "snapshot"


def save(sockets: Sockets, fd: int) -> None:
    """Write the state of a VM to the file `fd`, and leave the VM stopped.

    Raises `QmpError`.
    """
    with Qmp(sockets.qmp) as qmp:
        qmp("device_del", id=VSOCK)
        qmp.wait_for_event("DEVICE_DELETED", PATIENCE, _is_vsock)
        qmp("stop")
        _announce_migration(qmp)
        qmp("migrate-set-parameters", **{"max-bandwidth": _UNLIMITED})
        qmp.give_descriptor(_FILE, fd)
        qmp("migrate", uri=f"fd:{_FILE}")
        _wait_for_migration(qmp)


def resume(sockets: Sockets, fd: int) -> None:
    """Have a QEMU that waits for a state read it from the file `fd`, and go on.

    Raises `QmpError`.
    """
    with Qmp(sockets.qmp) as qmp:
        _announce_migration(qmp)
        qmp.give_descriptor(_FILE, fd)
        qmp("migrate-incoming", uri=f"fd:{_FILE}")
        _wait_for_migration(qmp)
        address = {"type": "unix", "data": {"path": str(sockets.vhost)}}
        backend = {"type": "socket", "data": {"addr": address, "server": False}}
        qmp("chardev-add", id=VSOCK, backend=backend)
        device = {"driver": "vhost-user-vsock-pci", "id": VSOCK, "chardev": VSOCK}
        qmp("device_add", **device, bus=VSOCK_BUS)
        qmp("cont")


def renew(address: str) -> None:
    """Give a guest that goes on random numbers of its own, and the time.

    `address` is its agent's. Raises `GuestError`.
    """
    from kata_protos import agent_pb2
    from kata_protos.agent_ttrpc import AgentServiceSyncClient
    from ttrpc.errors import TtrpcError
    from ttrpc.sync import Client

    entropy = agent_pb2.ReseedRandomDevRequest(data=os.urandom(ENTROPY))
    try:
        with Client.connect(address, timeout=PATIENCE) as client:
            agent = AgentServiceSyncClient(client)
            agent.reseed_random_dev(entropy, timeout=PATIENCE)
            seconds, nanoseconds = divmod(time.time_ns(), 10**9)
            agent.set_guest_date_time(
                agent_pb2.SetGuestDateTimeRequest(
                    Sec=seconds, Usec=nanoseconds // 1000
                ),
                timeout=PATIENCE,
            )
    except (TtrpcError, OSError) as error:
        raise GuestError(f"guest '{address}': {error}") from error


def _announce_migration(qmp: Qmp) -> None:
    events = {"capability": "events", "state": True}
    qmp("migrate-set-capabilities", capabilities=[events])


def _wait_for_migration(qmp: Qmp) -> None:
    end = qmp.wait_for_event("MIGRATION", PATIENCE, _is_end)
    if end["data"]["status"] != "completed":
        reason = qmp("query-migrate").get("error-desc", "failed")
        raise QmpError(f"qmp: migrate: {reason}")


def _is_end(event: Event) -> bool:
    return event["data"]["status"] in ("completed", "failed")


def _is_vsock(event: Event) -> bool:
    return bool(event["data"].get("device") == VSOCK)
