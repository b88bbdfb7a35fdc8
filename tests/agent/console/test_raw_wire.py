# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_agent.console.raw_wire import RawWire


def test_bytes_stay_what_they_are() -> None:
    wire = RawWire()
    frame = b"\4" + b"\0\0\0\4" + b"\0\x1e\0\x64"
    assert wire.received(frame) == wire.output(frame) == frame
    assert wire.size is None
    assert wire.ended(7) == b""
