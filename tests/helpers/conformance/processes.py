# SPDX-License-Identifier: Apache-2.0
"""Processes: exec, signal, wait."""

from __future__ import annotations

import asyncio
import time

from kata_protos import agent_pb2
from tests.helpers.conformance.case import Subject, case
from ttrpc.codes import Code

OK = Code.OK
INVALID = Code.INVALID_ARGUMENT
INTERNAL = Code.INTERNAL
NOT_FOUND = Code.NOT_FOUND
STATE = Code.FAILED_PRECONDITION
EXISTS = Code.ALREADY_EXISTS
UNKNOWN = "container 'nobody': not found"
NO_EXEC = "container 'c1': no process 'nobody'"


# --- ExecProcess ---


@case("ExecProcess", "happy")
async def executed(s: Subject) -> None:
    await s.started("c1")
    await s.execute("c1", "e1", "sh", "-c", "echo out; echo err >&2; exit 5")
    assert await s.read_all("c1", "e1") == b"out\n"
    assert await s.read_all("c1", "e1", stderr=True) == b"err\n"
    assert await s.wait("c1", "e1") == 5


@case("ExecProcess", "bad request", INVALID, "no process to execute", INTERNAL)
async def no_process(s: Subject) -> None:
    await s.started("c1")
    request = agent_pb2.ExecProcessRequest(container_id="c1", exec_id="e1")
    await s.agent.exec_process(request)


@case("ExecProcess", "bad request", INVALID, "process: no arguments", INTERNAL)
async def no_arguments(s: Subject) -> None:
    await s.started("c1")
    request = agent_pb2.ExecProcessRequest(container_id="c1", exec_id="e1")
    request.process.Cwd = "/"
    await s.agent.exec_process(request)


@case("ExecProcess", "bad request", INTERNAL, "the file nope was not found")
async def missing_program(s: Subject) -> None:
    await s.started("c1")
    await s.execute("c1", "e1", "nope")


@case("ExecProcess", "unknown id", INVALID, UNKNOWN, INTERNAL)
async def execute_in_nobody(s: Subject) -> None:
    await s.execute("nobody", "e1", "true")


@case("ExecProcess", "repeated", EXISTS, "exec id 'e1' already exists", INTERNAL)
async def same_id(s: Subject) -> None:
    await s.started("c1")
    await s.execute("c1", "e1")
    await s.execute("c1", "e1")


@case("ExecProcess", "repeated")
async def same_id_later(s: Subject) -> None:
    await s.started("c1")
    for _ in range(3):
        await s.execute("c1", "e1", "true")
        assert await s.wait("c1", "e1") == 0


@case("ExecProcess", "wrong state", STATE, "cannot exec, it is stopped", INTERNAL)
async def execute_after_the_end(s: Subject) -> None:
    await s.started("c1", "true")
    await s.wait("c1")
    await s.execute("c1", "e1", "true")


@case("ExecProcess", "concurrent")
async def twenty_at_once(s: Subject) -> None:
    await s.started("c1")

    async def one(number: int) -> None:
        script = f"echo {number}; exit {number}"
        await s.execute("c1", f"e{number}", "sh", "-c", script)
        assert await s.read_all("c1", f"e{number}") == b"%d\n" % number
        assert await s.wait("c1", f"e{number}") == number

    await asyncio.gather(*map(one, range(20)))


@case("ExecProcess", "cancelled")
async def exec_given_up(s: Subject) -> None:
    await s.started("c1")
    await s.abandoned(lambda other: other.execute("c1", "e1", "true"))
    await s.execute("c1", "e2", "true")
    assert await s.wait("c1", "e2") == 0


# --- SignalProcess ---


@case("SignalProcess", "happy")
async def init_by_both_names(s: Subject) -> None:
    for name, exec_id in (("c1", ""), ("c2", "c2")):
        await s.started(name)
        await s.signal(name, exec_id, 9)
        assert await s.wait(name, exec_id) == 137


@case("SignalProcess", "happy")
async def term_of_an_init_without_handler(s: Subject) -> None:
    await s.started("c1")
    await s.signal("c1", "", 15)
    assert await s.wait("c1") == 137


@case("SignalProcess", "happy")
async def everyone(s: Subject) -> None:
    await s.started("c1")
    await s.execute("c1", "e1")
    await s.signal("c1", "", 9)
    assert await s.wait("c1", "e1") == 137


@case("SignalProcess", "unknown id", INVALID, UNKNOWN)
async def signal_nobody(s: Subject) -> None:
    await s.signal("nobody", "nobody", 15)


@case("SignalProcess", "unknown id", NOT_FOUND, NO_EXEC)
async def signal_no_exec(s: Subject) -> None:
    await s.started("c1")
    await s.signal("c1", "nobody", 15)


@case("SignalProcess", "wrong state")
async def signal_after_the_end(s: Subject) -> None:
    await s.started("c1", "true")
    assert await s.read_all("c1") == b""
    await s.signal("c1", "", 9)


@case("SignalProcess", "bad request", INVALID, "no signal 4711", INTERNAL)
async def no_such_signal(s: Subject) -> None:
    await s.started("c1")
    await s.signal("c1", "c1", 4711)


@case("SignalProcess", "concurrent")
async def signals_while_paused(s: Subject) -> None:
    await s.started("c1")
    await s.started("c2")
    await s.pause("c1")
    began = time.monotonic()
    await asyncio.gather(*(s.signal("c2", "", 0) for _ in range(20)))
    assert time.monotonic() - began < 2


# --- WaitProcess ---


@case("WaitProcess", "concurrent")
async def many_waiters(s: Subject) -> None:
    await s.started("c1")
    await s.execute("c1", "e1")
    waiters = [asyncio.create_task(s.wait("c1", "e1")) for _ in range(10)]
    await s.settled()
    await s.signal("c1", "e1", 2)
    assert await asyncio.gather(*waiters) == [130] * 10


@case("WaitProcess", "repeated", NOT_FOUND, "container 'c1': no init process")
async def waited_twice(s: Subject) -> None:
    await s.started("c1", "sh", "-c", "exit 9")
    assert await s.wait("c1") == 9
    await s.wait("c1")


@case("WaitProcess", "unknown id", INVALID, UNKNOWN)
async def wait_for_nobody(s: Subject) -> None:
    await s.wait("nobody")


@case("WaitProcess", "unknown id", NOT_FOUND, NO_EXEC)
async def wait_for_no_exec(s: Subject) -> None:
    await s.started("c1")
    await s.wait("c1", "nobody")


@case("WaitProcess", "cancelled")
async def wait_given_up(s: Subject) -> None:
    await s.started("c1")
    await s.abandoned(lambda other: other.wait("c1"))
    await s.signal("c1", "", 9)
    assert await s.wait("c1") == 137


@case("WaitProcess", "wrong state")
async def wait_before_the_start(s: Subject) -> None:
    await s.created("c1", "sh", "-c", "exit 4")
    waiting = asyncio.create_task(s.wait("c1"))
    await s.start("c1")
    assert await waiting == 4


@case("SignalProcess", "repeated")
async def signalled_again(s: Subject) -> None:
    await s.started("c1")
    for _ in range(3):
        await s.signal("c1", "c1", 0)
    await s.signal("c1", "c1", 9)
    await s.signal("c1", "c1", 9)
    assert await s.wait("c1") == 137


@case("SignalProcess", "cancelled")
async def signal_given_up(s: Subject) -> None:
    await s.started("c1")
    await s.abandoned(lambda other: other.signal("c1", "", 9))
    assert await s.wait("c1") == 137


@case("WaitProcess", "happy")
async def code_and_signal(s: Subject) -> None:
    await s.started("c1")
    for script, status in (("exit 0", 0), ("exit 255", 255), ("kill -15 $$", 143)):
        await s.execute("c1", "e1", "sh", "-c", script)
        assert await s.wait("c1", "e1") == status
