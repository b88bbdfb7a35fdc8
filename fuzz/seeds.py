# SPDX-License-Identifier: Apache-2.0
"""Write the first corpus from recorded sessions of the Go client and the Go server.

python -m fuzz.seeds
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fuzz.replay import LIMIT
from ttrpc.envelope import varint
from ttrpc.frame import DATA, REQUEST, RESPONSE, Frame
from ttrpc.frame_decoder import LARGE

ROOT: Final = Path(__file__).parents[1]
GOLDEN: Final = ROOT / "tests" / "ttrpc" / "data" / "golden"
CORPUS: Final = ROOT / "fuzz" / "corpus"
FRAMES: Final = 16
"""Frames of a session, at most, because a fuzzer is faster with short inputs."""
PIECE: Final = b"\x06"


def main() -> None:
    CORPUS.mkdir(exist_ok=True)
    for recording in GOLDEN.glob("*.txt"):
        lines = [line.split() for line in recording.read_text().splitlines()]
        for target, mark in enumerate("><"):
            frames = ["".join(rest) for first, *rest in lines if first == mark]
            data = bytes.fromhex("".join(frames[:FRAMES]))
            name = f"{recording.stem}.{'client' if mark == '>' else 'server'}"
            (CORPUS / name).write_bytes(bytes((target,)) + PIECE + data)
            (CORPUS / f"{name}.session").write_bytes(
                bytes((target + 4,)) + PIECE + data
            )
        first_request = bytes.fromhex("".join(lines[0][2:]))
        (CORPUS / f"{recording.stem}.request").write_bytes(b"\2\0" + first_request)
    capture = (GOLDEN / "stream_fails.txt").read_bytes()
    (CORPUS / "stream_fails.capture").write_bytes(b"\3\0" + capture)
    for name, size in (("large", LARGE), ("oversized", LIMIT + 1)):
        call = bytes.fromhex("0a0c706565722e76312e4563686f12044563686f1a")
        payload = varint(size - len(call) - 3) + bytes(size - len(call) - 3)
        session = Frame(1, REQUEST, 0, call + payload).serialize()
        session += Frame(3, DATA, 0, b"").serialize()
        (CORPUS / f"{name}.client").write_bytes(b"\0\xff" + session)
        session = Frame(1, RESPONSE, 0, b"\x12" + payload).serialize()
        session += Frame(3, DATA, 0, bytes(size)).serialize()
        (CORPUS / f"{name}.server").write_bytes(b"\1\xff" + session)


if __name__ == "__main__":
    main()
