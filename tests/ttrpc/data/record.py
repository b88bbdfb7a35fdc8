# SPDX-License-Identifier: Apache-2.0
"""Record sessions between the Go client and the Go server.

    python -m tests.ttrpc.data.record

Plays scenarios of `tests/interop/check` through a proxy and writes each session
to `golden/SCENARIO.txt`: a line a frame, `>` from the client or `<` from the
server, and its bytes in hexadecimal, header and body apart.
"""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Final

from tests.helpers.interop import build, go_peer
from tests.helpers.wire import HEADER

GOLDEN: Final = Path(__file__).parent / "golden"
SCENARIOS: Final = (
    "code_unknown",
    "codes",
    "details",
    "echo",
    "echo_empty",
    "echo_null",
    "metadata",
    "nil_response",
    "plain_error",
    "stream_bidi",
    "stream_closed_by_us",
    "stream_divide",
    "stream_download",
    "stream_download_nothing",
    "stream_echo_null",
    "stream_empty_payload",
    "stream_fails",
    "stream_null_out_of_step",
    "stream_sum",
    "stream_unimplemented",
    "stream_upload",
    "stream_upload_nothing",
    "unimplemented",
    "value_and_error",
)
"""Scenarios with the same frames every time: no deadlines, races or megabytes."""


def main() -> None:
    programs = build()
    with tempfile.TemporaryDirectory() as directory:
        server, proxy = f"{directory}/server", f"{directory}/proxy"
        with go_peer(programs, server), socket.socket(socket.AF_UNIX) as listener:
            listener.bind(proxy)
            listener.listen()
            for name in SCENARIOS:
                lines = record(programs / "check", name, listener, proxy, server)
                (GOLDEN / f"{name}.txt").write_text("".join(lines))


def record(
    check: Path, name: str, listener: socket.socket, proxy: str, server: str
) -> list[str]:
    """Play one scenario through the proxy; return its frames as lines."""
    lines: list[str] = []
    with subprocess.Popen(
        [check, "-addr", proxy, name], stdout=subprocess.PIPE, text=True
    ) as client:
        near, _ = listener.accept()
        far = socket.socket(socket.AF_UNIX)
        far.connect(server)
        with near, far:
            back = threading.Thread(target=relay, args=(far, near, "<", lines))
            back.start()
            relay(near, far, ">", lines)
            back.join()
        assert client.stdout is not None
        outcome = json.load(client.stdout)
    if outcome["error"]:
        raise RuntimeError(f"{name}: {outcome['error']}")
    return lines


def relay(
    source: socket.socket, target: socket.socket, mark: str, lines: list[str]
) -> None:
    """Pass on whole frames, and note each, until `source` ends."""
    with source.makefile("rb") as stream:
        while header := stream.read(HEADER.size):
            body = stream.read(HEADER.unpack(header)[0])
            lines.append(f"{mark} {header.hex()} {body.hex()}".rstrip() + "\n")
            target.sendall(header + body)
    target.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
