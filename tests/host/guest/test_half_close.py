# SPDX-License-Identifier: Apache-2.0
"""A sender fails when its peer stops receiving, even if the sender is waiting."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from concurrent.futures import Future

import pytest

from kata_host.guest.half_close import stop_receiving


def test_a_sender_that_waits_for_room_fails() -> None:
    receiver, sender = socket.socketpair()
    with receiver, sender:
        receiver.setblocking(False)
        sender.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                sender.send(bytes(1 << 16))
        sender.setblocking(True)
        outcome: Future[int] = Future()

        def send() -> None:
            try:
                outcome.set_result(sender.send(b"more"))
            except OSError as error:
                outcome.set_exception(error)

        thread = threading.Thread(target=send)
        thread.start()
        stop_receiving(receiver)
        with pytest.raises(BrokenPipeError):
            outcome.result(10)
        thread.join()


def test_the_other_direction_stays_open() -> None:
    receiver, sender = socket.socketpair()
    with receiver, sender:
        receiver.setblocking(False)
        stop_receiving(receiver)
        receiver.send(b"still here")
        assert select.select([sender], [], [], 10)[0]
        assert sender.recv(100) == b"still here"
