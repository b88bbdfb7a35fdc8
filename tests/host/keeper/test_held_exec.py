# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

from kata_host.keeper.held_exec import abandoned_in, held_exec
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord
from tests.helpers.fake_agent import FakeAgent

KILLED = """
import os, signal
from kata_host.keeper.held_exec import held_exec
from kata_host.keeper.record import ContainerRecord
with held_exec(ContainerRecord("c1", "one")) as id:
    print(id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_program_is_held_in_the_block_and_forgotten_after_it(guest_one: str) -> None:
    record = ContainerRecord("c1", "one")
    HeldRecord.create(record).close()
    with held_exec(record) as first, held_exec(record) as second:
        assert first != second
        assert abandoned_in("one", "c1") == []
    assert abandoned_in("one", "c1") == []


def test_the_program_of_a_process_that_was_killed_is_found(guest_one: str) -> None:
    HeldRecord.create(ContainerRecord("c1", "one")).close()
    ran = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True)
    assert [path.name for path in abandoned_in("one", "c1")] == [ran.stdout.strip()]


def test_a_container_without_a_record_or_a_folder_has_an_id_alone(
    agent: FakeAgent, guest_one: str
) -> None:
    for record in (None, ContainerRecord("gone", "one")):
        with held_exec(record) as id:
            assert id.startswith("exec")
        assert abandoned_in("one", "gone") == []
