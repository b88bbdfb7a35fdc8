# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.recorded import (
    API,
    as_text,
    make_every_kind_of_call,
    serving,
    tapped,
)
from ttrpc.errors import Closed
from ttrpc.recording.api import Api
from ttrpc.recording.comparison import Difference
from ttrpc.recording.entry import read_entries
from ttrpc.recording.replay import Pace, Replay, Tally


async def record(path: Path, *apis: Api) -> list[dict[str, Any]]:
    lines: list[Mapping[str, Any]] = []
    async with tapped(path, lines, *apis) as address:
        await make_every_kind_of_call(address)
    return [dict(line) for line in lines]


async def play(
    path: Path, lines: Sequence[Mapping[str, Any]], *apis: Api, patience: float = 20
) -> tuple[Tally, list[Difference]]:
    found: list[Difference] = []
    async with serving(path) as address:
        replay = Replay(
            list(read_entries(as_text(list(lines)))),
            address,
            apis,
            pace=Pace(0.01, patience),
            as_sent=False,
            report=found.append,
        )
        await replay.run()
    return replay.tally, found


@pytest.mark.parametrize("apis", [[API], []], ids=["known", "unknown"])
async def test_a_session_replays_without_a_difference(
    tmp_path: Path, apis: list[Api]
) -> None:
    tally, found = await play(tmp_path, await record(tmp_path, *apis), *apis)
    assert [difference for difference in found if difference.matters] == []
    assert tally == Tally(played=5)


async def test_another_value_matters_if_a_client_reads_it(tmp_path: Path) -> None:
    lines = await record(tmp_path, API)
    for line in lines:
        if line.get("answer") == "Len":
            line["resp"] = "7"
        elif line.get("answer") == "Make":
            line["resp"] = "Nzc3"
    tally, found = await play(tmp_path, lines, API)
    assert tally.differences == 1
    assert "Len: value: recorded 7, now 6" in str(found[0])
    assert any(str(one).endswith("(no client reads it)") for one in found)


async def test_another_status_matters(tmp_path: Path) -> None:
    lines = await record(tmp_path, API)
    for line in lines:
        if "error" in line:
            line["code"] = 3
        if line.get("answer") == "Make":
            del line["answer"], line["resp"]
            line.update(error="Make", code=99, text="no")
    tally, found = await play(tmp_path, lines, API)
    texts = [one.text for one in found if one.matters]
    assert texts[0] == (
        "recorded INVALID_ARGUMENT: failed with 5, now NOT_FOUND: failed with 5"
    )
    assert texts[1] == "recorded code 99: no, now OK"
    assert tally.differences == 2


async def test_an_answer_that_does_not_come_is_a_difference(tmp_path: Path) -> None:
    call = {
        "call": "Sleep",
        "service": "peer.v1.Echo",
        "sid": 1,
        "req": str(10**12),
    }
    answer = {"answer": "Sleep", "sid": 1, "resp": "0"}
    tally, found = await play(tmp_path, [call, answer], API, patience=0.05)
    assert [one.text for one in found] == ["recorded OK, now no answer within 0.05 s"]
    assert tally.differences == 1


async def test_a_call_without_a_recorded_answer_does_not_hold_up_the_next(
    tmp_path: Path,
) -> None:
    nap = {"method": "peer.v1.Echo/Sleep", "request": str(10**12)}
    tally, found = await play(tmp_path, [nap, nap], API)
    assert tally == Tally(played=2, unrecorded=2)
    assert not found


async def test_calls_end_with_the_connection_of_the_client(tmp_path: Path) -> None:
    """Another connection may use the same stream ids."""
    lines = await record(tmp_path, API)
    sleep = {
        "call": "Sleep",
        "service": "peer.v1.Echo",
        "sid": 1,
        "connection": 1,
        "req": str(10**12),
    }
    tally, found = await play(
        tmp_path, [sleep, {"end": "client", "connection": 1}, *lines], API
    )
    assert tally.played == 6
    assert not [one for one in found if one.matters]


async def test_a_server_that_is_away_is_an_error(tmp_path: Path) -> None:
    replay = Replay(
        list(read_entries(['{"method": "peer.v1.Echo/Active"}'])),
        f"unix://{tmp_path}/nobody.sock",
        [dataclasses.replace(API)],
        pace=Pace(0.01, 1),
        as_sent=False,
        report=lambda _: None,
    )
    with pytest.raises(Closed):
        await replay.run()
