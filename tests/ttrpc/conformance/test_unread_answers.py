# SPDX-License-Identifier: Apache-2.0
"""Many clients that ask once and read nothing: their answers are bounded together."""

from __future__ import annotations

import asyncio
import contextlib
import select
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.wrappers_pb2 import UInt64Value

from bench.ttrpc.service import services
from tests.helpers.peer import ECHO
from tests.helpers.wire import DATA, PATIENCE, Frame, Wire, request
from ttrpc import Code, Limits
from ttrpc.aio import Client, Server

MIB: Final = 1 << 20
CLIENTS: Final = 20
LIMITS: Final = Limits(queued=4 * MIB)
ANSWER: Final = UInt64Value(value=MIB)
ASKS: Final = {
    "plain function": request(1, "Make", ANSWER),
    "coroutine": request(1, "MakeLater", ANSWER),
    "stream": request(1, "Download", UInt64Value(value=1 << 32 | MIB)),
}


def wait_for_answers(wires: list[Wire]) -> None:
    """Wait until there is a part of an answer, or all of it, for each client."""
    for wire in wires:
        assert select.select([wire.socket], [], [], PATIENCE)[0]


def answers(wires: list[Wire]) -> list[Frame]:
    return [wire.receive_many(1)[0] for wire in wires]


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
async def test_an_answer_needs_room_also_if_it_is_the_first(
    ask: Frame, tmp_path: Path
) -> None:
    path = f"{tmp_path}/a.sock"
    async with Server(services(), limits=LIMITS) as server:
        await server.listen(f"unix://{path}")
        with contextlib.ExitStack() as stack:
            wires = [stack.enter_context(Wire(path)) for _ in range(CLIENTS)]
            for wire in wires:
                wire.send(ask)
            await asyncio.to_thread(wait_for_answers, wires)
            async with await Client.connect(f"unix://{path}") as client:
                # Others get their small answers meanwhile, and large ones afterwards.
                small = UInt64Value(value=1000)
                answer = await client.call(ECHO["Make"], small, timeout=PATIENCE)
                assert len(answer.value) == small.value
                received = await asyncio.to_thread(answers, wires)
                answer = await client.call(ECHO["Make"], ANSWER, timeout=PATIENCE)
                assert len(answer.value) == MIB
    large = [it for it in received if len(it.body) >= MIB]
    # The kernel takes a part of each, which does not count.
    assert 4 <= len(large) < 8
    for frame in received:
        if frame not in large:
            assert frame.type != DATA
            status = frame.response.status
            assert status.code == Code.RESOURCE_EXHAUSTED
            assert status.message == "too many answers left unread"
