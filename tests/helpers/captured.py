# SPDX-License-Identifier: Apache-2.0
"""Requests that real runtimes sent (`tests/data/captured/README.md`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from google.protobuf.json_format import ParseDict

from kata_protos import agent_pb2
from tests.helpers.source_tree import ROOT

SESSIONS: Final = sorted((ROOT / "tests/data/captured/sessions").glob("*.jsonl"))
FILES: Final = ("hosts", "hostname", "resolv.conf")
"""How the names of the shared files end that are no directories."""
GO_DIRECTORY: Final = 1 << 31
"""The directory's bit of Go's `FileMode`, which the Go shim sends in `dir_mode`."""

CONTROL_C: Final = "Aw=="
"""In base64, as the sessions have bytes."""
LONGEST_PAUSE: Final = 1.0
"""Seconds, as recorded."""


def create_container_requests() -> dict[str, agent_pb2.CreateContainerRequest]:
    """Return all captured requests by the session and their number in it, from 1."""
    return {
        f"{session.stem}-{number}": request
        for session in SESSIONS
        for number, request in enumerate(_requests(session), start=1)
    }


def commands() -> set[str]:
    """Return the words of all command lines; some are names of programs."""
    words: set[str] = set()
    for session in SESSIONS:
        for line in session.read_text().splitlines():
            request = json.loads(line).get("req", {})
            process = request.get("process") or request.get("OCI", {}).get("Process")
            for argument in (process or {}).get("Args", ()):
                words.update(re.split(r"\W+", argument))
    return words


def joined_sessions() -> str:
    """Return all sessions as one, for a guest that ends with the last sandbox.

    A replay removes the containers of a session itself before the next sandbox.
    """
    *others, last = [path.read_text().splitlines() for path in reversed(SESSIONS)]
    kept = (line for lines in others for line in _without_destruction(lines))
    return "\n".join([*kept, *last])


def hastened(session: str, *, pause: float) -> str:
    """Return a session whose pauses last `pause` seconds at most, for `LONGEST_PAUSE`.

    A Control-C is for the program that the shell was asked to start before. One that
    comes earlier ends nothing, and that program then reads the rest of the input.
    """
    lines, before, now = [], 0.0, 0.0
    for line in session.splitlines():
        entry = json.loads(line)
        if "at" in entry:
            recorded = max(0.0, entry["at"] - before)
            before = entry["at"]
            is_control_c = entry.get("req", {}).get("data") == CONTROL_C
            now += min(recorded, LONGEST_PAUSE if is_control_c else pause)
            entry["at"] = round(now, 4)
        lines.append(json.dumps(entry))
    return "\n".join(lines)


def _without_destruction(lines: list[str]) -> Iterator[str]:
    """Yield the lines before the sandbox is destroyed, and the ends of connections."""
    is_destroyed = False
    for line in lines:
        entry = json.loads(line)
        is_destroyed |= entry.get("call") == "DestroySandbox"
        if not is_destroyed or "end" in entry:
            yield line


def _requests(session: Path) -> Iterator[agent_pb2.CreateContainerRequest]:
    for line in session.read_text().splitlines():
        entry = json.loads(line)
        if entry.get("call") == "CreateContainer":
            yield ParseDict(entry["req"], agent_pb2.CreateContainerRequest())


def copies_for(
    request: agent_pb2.CreateContainerRequest, shared: str
) -> list[agent_pb2.CopyFileRequest]:
    """Return CopyFile requests, as the Go shim makes them, for a container's mounts.

    They put each source below the directory `shared` into the guest that no storage of
    the request puts there; with a file server, the host would share it.
    """
    storages = {storage.mount_point for storage in request.storages}
    sources = [storage.source for storage in request.storages]
    sources += [mount.source for mount in request.OCI.Mounts]
    return [
        agent_pb2.CopyFileRequest(
            path=source,
            dir_mode=GO_DIRECTORY | 0o750,
            **(
                {"file_mode": 0o100644, "file_size": 1, "data": b"\n"}
                if source.endswith(FILES)
                else {"file_mode": 0o040755}
            ),
        )
        for source in sources
        if source.startswith(shared) and source not in storages
    ]
