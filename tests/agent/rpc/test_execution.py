# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_agent.rpc.execution import _wants_agent_pid
from kata_protos import agent_pb2


def test_agent_pidns_of_1x_is_seen_in_the_number_that_4x_gave_away() -> None:
    request = agent_pb2.CreateContainerRequest(container_id="c1")
    assert not _wants_agent_pid(request)
    # Field 8 as a varint, as a 1.x runtime sends its bool.
    request.MergeFromString(b"\x40\x01")
    assert request.container_id == "c1"
    assert not request.shared_mounts
    assert _wants_agent_pid(request)
    off = agent_pb2.CreateContainerRequest.FromString(b"\x40\x00")
    assert not _wants_agent_pid(off)
    shared = agent_pb2.CreateContainerRequest()
    shared.shared_mounts.add(name="x")
    again = agent_pb2.CreateContainerRequest.FromString(shared.SerializeToString())
    assert not _wants_agent_pid(again)
