# SPDX-License-Identifier: Apache-2.0
"""The conformance table in a VM: the calls that succeed or need a whole machine.

The whole of it runs in a local guest: `tests/conformance`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_host.client.upload import SHARED, upload
from kata_host.ctl.rootfs import make_busybox
from kata_host.guest.vm_guest import VmGuest
from tests.helpers.conformance import table
from tests.helpers.conformance.case import Case, Subject, check

pytestmark = [pytest.mark.vm, pytest.mark.slow]

ROOTFS = f"{SHARED}/conformance/rootfs"
SHARED_PIDS = "SignalProcess-happy-term_of_an_init_without_handler"
"""Is about PID 1, which no container of this sandbox is."""
RUN = [
    case
    for case in table.CASES
    if not case.own_guest
    and (case.machine or case.situation == "happy")
    and case.id != SHARED_PIDS
]


@pytest.fixture(scope="module")
def brought() -> list[str]:
    """The path of a root file system that the guest has already."""
    return []


@pytest.fixture
async def subject(
    guest: VmGuest, client: AgentClient, brought: list[str], tmp_path: Path
) -> Subject:
    if not brought:
        await upload(client.agent, make_busybox(tmp_path / "rootfs"), ROOTFS)
        brought.append(ROOTFS)
    return Subject(client, guest.address, ROOTFS, is_ours=True)


@pytest.mark.parametrize("case", RUN, ids=lambda case: case.id)
async def test_conformance(case: Case, subject: Subject) -> None:
    await check(case, subject)
