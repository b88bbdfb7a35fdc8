# SPDX-License-Identifier: Apache-2.0
"""KeyboardInterrupt at each line of the blocking client."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

import ttrpc
from tests.helpers.peer import ECHO
from tests.helpers.wire import PATIENCE
from ttrpc import Closed
from ttrpc.sync import Client

FOLDER: Final = str(Path(ttrpc.__file__).parent)


def call(client: Client) -> None:
    client.call(ECHO["Echo"], BytesValue(value=b"first"), timeout=PATIENCE)


def converse(client: Client) -> None:
    with client.open_stream(ECHO["EchoStream"], timeout=PATIENCE) as stream:
        stream.send(BytesValue(value=b"first"))
        stream.recv()


def download(client: Client) -> None:
    request = UInt64Value(value=2 << 32 | 5)
    with client.open_stream(ECHO["Download"], request, timeout=PATIENCE) as stream:
        stream.recv()


class InterruptAt:
    """Raises KeyboardInterrupt at the so-manieth line of the package that is run."""

    def __init__(self, line: int) -> None:
        self._left = line

    @property
    def has_come(self) -> bool:
        return self._left <= 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(FOLDER):
            return None
        if event == "line":
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt
        return self

    def during(self, use: Callable[[Client], None], client: Client) -> None:
        before = sys.gettrace()
        sys.settrace(self)
        try:
            use(client)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)


@pytest.mark.parametrize("use", [call, converse, download])
def test_the_next_call_gets_its_own_answer_or_none(
    our_server: str, use: Callable[[Client], None]
) -> None:
    """The server closes no connection by itself, and sees no call without an end."""
    line = 0
    interrupt = InterruptAt(1)
    outcomes = {"answered": 0, "closed": 0}
    while interrupt.has_come or line == 0:
        line += 1
        interrupt = InterruptAt(line)
        with Client.connect(f"unix://{our_server}", timeout=PATIENCE) as client:
            interrupt.during(use, client)
            request = BytesValue(value=b"second")
            try:
                answer = client.call(ECHO["Echo"], request, timeout=PATIENCE)
            except Closed:
                assert str(client.closed).startswith("connection: interrupted while ")
                outcomes["closed"] += 1
            else:
                assert answer == request
                outcomes["answered"] += 1
    assert line > 100
    assert all(outcomes.values())
