# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from tests.helpers.peer import ECHO
from tests.helpers.source_tree import ROOT
from ttrpc import Closed
from ttrpc.sync import Client
from ttrpc.sync.thread_guard import ThreadGuard

HI = BytesValue(value=b"hi")
PATIENCE = 10.0
FORK = """
import os, sys
from google.protobuf.wrappers_pb2 import BytesValue
from tests.helpers.peer import ECHO
from ttrpc.sync import Client

hi = BytesValue(value=b"hi")
with Client.connect(f"unix://{sys.argv[1]}") as client:
    with client.open_stream(ECHO["EchoStream"], timeout=10) as stream:
        child = os.fork()
        if child == 0:
            for use in (
                lambda: client.call(ECHO["Echo"], hi, timeout=10),
                lambda: client.open_stream(ECHO["EchoStream"], timeout=10),
                lambda: stream.send(hi),
                lambda: stream.recv(),
                lambda: stream.close_send(),
            ):
                try:
                    use()
                except RuntimeError as error:
                    print(str(error).replace(str(os.getppid()), "PARENT"))
            sys.exit()  # It leaves both blocks, whose connection is the parent's.
        assert os.waitpid(child, 0)[1] == 0
        stream.send(hi)
        assert stream.recv() == hi
        assert client.call(ECHO["Echo"], hi, timeout=10) == hi
        print("the parent goes on")
"""
INTERRUPTS = """
import signal, sys, threading
from collections import Counter
from queue import SimpleQueue
from google.protobuf.wrappers_pb2 import BytesValue
from tests.helpers.peer import ECHO
from ttrpc.sync import Client
from ttrpc.sync.thread_guard import ThreadGuard

hi = BytesValue(value=b"hi")
guard = ThreadGuard()
client = Client.connect(f"unix://{sys.argv[1]}", reconnect=1)

def enter():
    with guard:
        pass

def call():
    assert client.call(ECHO["Echo"], hi, timeout=10) == hi

asked, answers = SimpleQueue(), SimpleQueue()

def other():
    while use := asked.get():
        try:
            answers.put(use() or "in")
        except BaseException as error:
            answers.put(repr(error))

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
threading.Thread(target=other, daemon=True).start()
for use, times, longest in (enter, 300, 20), (call, 200, 400):
    told = Counter()
    for number in range(times):
        try:
            # At another moment each time.
            signal.setitimer(signal.ITIMER_REAL, (10 + number % longest) / 1e6)
            while True:
                use()
        except KeyboardInterrupt:
            asked.put(use)
            told[answers.get(timeout=30)] += 1
            use()
    print(dict(told))
"""


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


def test_a_forked_process_is_told_at_once(our_server: str) -> None:
    """It would read its parent's answers, and end its parent's streams by leaving."""
    printed = subprocess.check_output(
        [sys.executable, "-c", FORK, our_server], text=True, cwd=ROOT
    )
    refused = "client: process PARENT uses it; connect anew after a fork"
    assert printed.splitlines() == [refused] * 5 + ["the parent goes on"]


def test_an_interrupt_at_any_moment_leaves_it_to_the_next_thread(
    our_server: str,
) -> None:
    """A thread that had left was taken for one that is in, for ever."""
    printed = subprocess.check_output(
        [sys.executable, "-c", INTERRUPTS, our_server], text=True, cwd=ROOT
    )
    assert printed.splitlines() == ["{'in': 300}", "{'in': 200}"]
