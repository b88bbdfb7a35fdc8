# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.helpers.frames import raw_frames
from ttrpc.envelope_pb2 import Response
from ttrpc.frame import DATA, NO_DATA, REMOTE_CLOSED, REQUEST, RESPONSE
from ttrpc.outbox import COPY_LIMIT, Outbox

SIZES = [0, 1, 0x7F, 0x80, COPY_LIMIT, COPY_LIMIT + 1, 1 << 20]


def frames(outbox: Outbox) -> list[tuple[int, int, int, bytes]]:
    data = b"".join(outbox.chunks)
    assert outbox.size == len(data)
    return raw_frames(data)


@pytest.mark.parametrize("size", SIZES)
def test_frames_are_kept_whole_and_in_order(size: int) -> None:
    outbox = Outbox()
    payload = bytes(size)
    outbox.put(1, REQUEST, 2, b"ab", payload, b"c")
    outbox.put_response(3, payload)
    outbox.put_message(5, payload)
    outbox.put_close(5)
    request, (*response, body), message, close = frames(outbox)
    assert request == (1, REQUEST, 2, b"ab" + payload + b"c")
    assert response == [3, RESPONSE, 0]
    assert Response.FromString(body).payload == payload
    assert message == (5, DATA, 0, payload)
    assert close == (5, DATA, REMOTE_CLOSED | NO_DATA, b"")


def test_a_large_payload_is_not_copied() -> None:
    outbox = Outbox()
    payload = bytes(1 << 20)
    outbox.put_response(1, payload)
    outbox.put_message(3, payload)
    assert sum(chunk is payload for chunk in outbox.chunks) == 2
