# SPDX-License-Identifier: Apache-2.0
"""The frames in the bytes that one of our own sides has sent."""

from __future__ import annotations

from ttrpc.frame import Oversized
from ttrpc.frame_decoder import FrameDecoder


def raw_frames(sent: bytes) -> list[tuple[int, int, int, bytes]]:
    """Return stream id, type, flags and payload of each frame in `sent`."""
    frames = []
    for frame in FrameDecoder().receive(sent):
        assert not isinstance(frame, Oversized)
        stream_id, type, flags, payload = frame
        frames.append((stream_id, type, flags, bytes(payload)))
    return frames
