# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from tests.helpers.peer import ECHO
from ttrpc import Closed
from ttrpc.sync import Client
from ttrpc.sync.thread_guard import ThreadGuard

HI = BytesValue(value=b"hi")
PATIENCE = 10.0


def test_one_thread_may_enter_again() -> None:
    guard = ThreadGuard()
    with guard, guard:
        pass
    with guard:
        pass


@pytest.mark.parametrize(
    "use",
    [
        lambda client, stream: client.call(ECHO["Echo"], HI),
        lambda client, stream: client.open_stream(ECHO["EchoStream"]),
        lambda client, stream: client.close(),
        lambda client, stream: stream.send(HI),
        lambda client, stream: stream.close_send(),
        lambda client, stream: stream.recv(),
        lambda client, stream: stream.close(),
    ],
)
def test_a_second_thread_is_told_at_once(use: Callable[[Client, Any], Any]) -> None:
    """It would read the other's answers, or wait until a message comes for that."""
    ours, theirs = socket.socketpair()
    outcome: list[BaseException] = []

    def wait(client: Client) -> None:
        try:
            client.call(ECHO["Echo"], HI, timeout=PATIENCE)
        except Closed as error:
            outcome.append(error)

    with theirs, Client(ours) as client:
        stream = client.open_stream(ECHO["EchoStream"])
        theirs.recv(1000)
        thread = threading.Thread(target=wait, args=(client,))
        thread.start()
        theirs.recv(1000)  # The other thread's request: it waits for the answer now.
        with pytest.raises(RuntimeError, match="^client: in use by another thread"):
            use(client, stream)
        theirs.close()
        thread.join(PATIENCE)
    assert [type(error) for error in outcome] == [Closed]
