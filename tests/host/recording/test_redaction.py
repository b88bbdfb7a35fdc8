# SPDX-License-Identifier: Apache-2.0
"""Requests as the Go runtime sends them, without their secrets."""

from __future__ import annotations

import stat

from kata_host.recording.redaction import redact
from kata_protos import agent_pb2


def test_environments_lose_their_values() -> None:
    request = agent_pb2.CreateContainerRequest()
    request.OCI.Process.Env.extend(
        ["PATH=/bin:/sbin:/usr/bin", "TERM=xterm", "TOKEN=s=1", "BARE"]
    )
    request.OCI.Hooks.Prestart.add(Path="/hook", Env=["TOKEN=s"])
    redact(request)
    assert list(request.OCI.Process.Env) == [
        "PATH=/bin:/sbin:/usr/bin",
        "TERM=xterm",
        "TOKEN=redacted",
        "BARE",
    ]
    assert list(request.OCI.Hooks.Prestart[0].Env) == ["TOKEN=redacted"]
    execution = agent_pb2.ExecProcessRequest()
    execution.process.Env.append("A=b")
    redact(execution)
    assert list(execution.process.Env) == ["A=redacted"]


def test_data_keeps_its_length_alone() -> None:
    written = agent_pb2.WriteStreamRequest(data=b"pass\n")
    read = agent_pb2.ReadStreamResponse(data=b"out")
    copied = agent_pb2.CopyFileRequest(
        file_mode=stat.S_IFREG | 0o644, file_size=6, data=b"value1"
    )
    for message in (written, read, copied):
        redact(message)
    assert (written.data, read.data, copied.data) == (b"xxxxx", b"xxx", b"xxxxxx")


def test_a_link_keeps_its_target() -> None:
    """A ConfigMap is a tree of links, which a replay makes again."""
    link = agent_pb2.CopyFileRequest(file_mode=stat.S_IFLNK | 0o777, data=b"..data/key")
    redact(link)
    assert link.data == b"..data/key"
