# SPDX-License-Identifier: Apache-2.0
"""Takes the secrets out of a message of the agent's API.

Environments, the data of standard streams, and the content of copied files. Data keeps
its length, because the agent checks lengths. Paths, the targets of symbolic links,
arguments and annotations stay, because a replay needs them.
"""

from __future__ import annotations

import stat
from collections.abc import MutableSequence
from typing import Final

from google.protobuf.message import Message

from kata_protos.agent_pb2 import (
    CopyFileRequest,
    CreateContainerRequest,
    ExecProcessRequest,
    ReadStreamResponse,
    WriteStreamRequest,
)
from kata_protos.oci_pb2 import Hooks

KEPT: Final = frozenset({"HOME", "PATH", "TERM"})
"""Variables whose value stays: without them programs are not found or act otherwise."""
REDACTED: Final = "redacted"
FILLER: Final = b"x"


def redact(message: Message) -> None:
    """Replace the secrets in `message`."""
    if isinstance(message, CreateContainerRequest):
        _redact_environment(message.OCI.Process.Env)
        _redact_hooks(message.OCI.Hooks)
    elif isinstance(message, ExecProcessRequest):
        _redact_environment(message.process.Env)
    elif isinstance(message, CopyFileRequest):
        if not stat.S_ISLNK(message.file_mode):
            message.data = FILLER * len(message.data)
    elif isinstance(message, WriteStreamRequest | ReadStreamResponse):
        message.data = FILLER * len(message.data)


def _redact_environment(variables: MutableSequence[str]) -> None:
    for index, variable in enumerate(variables):
        name, equals, _ = variable.partition("=")
        if name not in KEPT:
            variables[index] = f"{name}={REDACTED}" if equals else name


def _redact_hooks(hooks: Hooks) -> None:
    for _, value in hooks.ListFields():
        for hook in value:
            _redact_environment(hook.Env)
