# SPDX-License-Identifier: Apache-2.0
"""The standard streams of processes: read, written, closed, resized."""

from __future__ import annotations

import asyncio
import time

from kata_host.client.spec import default_process
from kata_protos import agent_pb2
from tests.helpers.conformance.case import Subject, case
from ttrpc.codes import Code

OK = Code.OK
INVALID = Code.INVALID_ARGUMENT
INTERNAL = Code.INTERNAL
NOT_FOUND = Code.NOT_FOUND
UNKNOWN = "container 'nobody': not found"
NO_EXEC = "container 'c1': no process 'nobody'"


# --- ReadStdout, ReadStderr ---


@case("ReadStdout", "happy")
async def end_is_empty(s: Subject) -> None:
    await s.started("c1", "sh", "-c", "printf x")
    assert await s.read("c1") == b"x"
    for _ in range(2):
        assert await s.read("c1") == b""


@case("ReadStdout", "happy")
async def a_grandchild_holds_the_pipe(s: Subject) -> None:
    await s.started("c1")
    await s.execute("c1", "e1", "sh", "-c", "sleep 1000 & echo out")
    began = time.monotonic()
    # First to the end and then the wait, as the Go shim does it.
    assert await s.read_all("c1", "e1") == b"out\n"
    assert time.monotonic() - began < 2
    assert await s.wait("c1", "e1") == 0


@case("ReadStdout", "unknown id", INVALID, UNKNOWN)
async def read_nobody(s: Subject) -> None:
    await s.read("nobody")


@case("ReadStdout", "unknown id", NOT_FOUND, NO_EXEC)
async def read_no_exec(s: Subject) -> None:
    await s.started("c1")
    await s.read("c1", "nobody")


@case("ReadStderr", "unknown id", NOT_FOUND, NO_EXEC)
async def read_stderr_of_no_exec(s: Subject) -> None:
    await s.started("c1")
    await s.read("c1", "nobody", stderr=True)


@case("ReadStdout", "cancelled")
async def read_given_up(s: Subject) -> None:
    await s.started("c1", "sh", "-c", "read x; echo $x")
    await s.abandoned(lambda other: other.read("c1"))
    await s.write("c1", "", b"still here\n")
    assert await s.read_all("c1") == b"still here\n"


@case("ReadStdout", "concurrent")
async def two_readers_lose_nothing(s: Subject) -> None:
    await s.started("c1", "sh", "-c", "yes | head -n 50000")
    parts = await asyncio.gather(*(s.read_all("c1") for _ in range(2)))
    assert sum(map(len, parts)) == 100_000


@case("ReadStdout", "repeated")
async def read_in_parts(s: Subject) -> None:
    await s.started("c1", "sh", "-c", "seq 1 20000")
    expected = b"".join(b"%d\n" % number for number in range(1, 20001))
    assert await s.read_all("c1") == expected


@case("ReadStdout", "wrong state")
async def read_before_the_start(s: Subject) -> None:
    await s.created("c1", "echo", "out")
    reading = asyncio.create_task(s.read_all("c1"))
    await s.settled()
    await s.start("c1")
    assert await reading == b"out\n"


@case("ReadStdout", "wrong state", OK, "", NOT_FOUND)
async def read_after_the_wait(s: Subject) -> None:
    await s.started("c1", "echo", "out")
    assert await s.wait("c1") == 0
    assert await s.read_all("c1") == b"out\n"


async def errors_of(s: Subject) -> bytes:
    return await s.read_all("c1", stderr=True)


async def read_errors(s: Subject) -> None:
    await s.read("c1", stderr=True)


@case("ReadStderr", "happy")
async def errors_apart(s: Subject) -> None:
    await s.started("c1", "sh", "-c", "echo out; echo err >&2")
    assert await errors_of(s) == b"err\n"
    assert await s.read_all("c1") == b"out\n"


@case("ReadStderr", "unknown id", INVALID, UNKNOWN)
async def read_errors_of_nobody(s: Subject) -> None:
    await s.read("nobody", stderr=True)


@case("ReadStderr", "wrong state")
async def errors_before_the_start(s: Subject) -> None:
    await s.created("c1", "sh", "-c", "echo err >&2")
    reading = asyncio.create_task(errors_of(s))
    await s.settled()
    await s.start("c1")
    assert await reading == b"err\n"


@case("ReadStderr", "repeated")
async def the_end_of_errors_again(s: Subject) -> None:
    await s.started("c1", "true")
    for _ in range(2):
        assert await s.read("c1", stderr=True) == b""


@case("ReadStderr", "concurrent")
async def two_readers_of_errors(s: Subject) -> None:
    await s.started("c1", "sh", "-c", "yes | head -n 50000 >&2")
    parts = await asyncio.gather(*(errors_of(s) for _ in range(2)))
    assert sum(map(len, parts)) == 100_000


@case("ReadStderr", "cancelled")
async def reading_errors_given_up(s: Subject) -> None:
    await s.started("c1", "sh", "-c", "read x; echo $x >&2")
    await s.abandoned(read_errors)
    await s.write("c1", "", b"still here\n")
    assert await errors_of(s) == b"still here\n"


# --- WriteStdin, CloseStdin ---


@case("WriteStdin", "happy")
async def written(s: Subject) -> None:
    await s.started("c1", "cat")
    assert await s.write("c1", "", b"hello") == 5
    await s.close_stdin("c1")
    assert await s.read_all("c1") == b"hello"
    assert await s.wait("c1") == 0


@case("WriteStdin", "happy")
async def an_empty_write_is_the_end(s: Subject) -> None:
    await s.started("c1", "cat")
    await s.write("c1", "", b"hello")
    await s.write("c1", "", b"")
    assert await s.read_all("c1") == b"hello"


@case("WriteStdin", "wrong state", OK, "", INTERNAL)
async def written_after_the_end(s: Subject) -> None:
    await s.started("c1")
    await s.close_stdin("c1")
    assert await s.write("c1", "", b"x") == 0


@case("WriteStdin", "unknown id", INVALID, UNKNOWN, INTERNAL)
async def write_to_nobody(s: Subject) -> None:
    await s.write("nobody", "", b"x")


@case("WriteStdin", "unknown id", NOT_FOUND, NO_EXEC, INTERNAL)
async def write_to_no_exec(s: Subject) -> None:
    await s.started("c1")
    await s.write("c1", "nobody", b"x")


@case("WriteStdin", "cancelled")
async def write_given_up(s: Subject) -> None:
    await s.started("c1")
    await s.abandoned(lambda other: other.write("c1", "", bytes(1 << 20)))
    await s.signal("c1", "", 9)
    assert await s.wait("c1") == 137


@case("CloseStdin", "repeated")
async def closed_twice(s: Subject) -> None:
    await s.started("c1", "cat")
    await s.close_stdin("c1")
    if await s.read_all("c1") == b"":
        await s.close_stdin("c1")


@case("CloseStdin", "unknown id", INVALID, UNKNOWN)
async def close_nobody(s: Subject) -> None:
    await s.close_stdin("nobody")


@case("CloseStdin", "unknown id", NOT_FOUND, NO_EXEC)
async def close_no_exec(s: Subject) -> None:
    await s.started("c1")
    await s.close_stdin("c1", "nobody")


@case("WriteStdin", "repeated")
async def written_in_parts(s: Subject) -> None:
    await s.started("c1", "cat")
    for part in (b"one ", b"two ", b"three"):
        assert await s.write("c1", "", part) == len(part)
    await s.close_stdin("c1")
    assert await s.read_all("c1") == b"one two three"


@case("WriteStdin", "concurrent")
async def whole_chunks(s: Subject) -> None:
    await s.started("c1", "cat")
    chunks = [bytes([number]) * 100_000 for number in range(4)]
    writing = asyncio.gather(*(s.write("c1", "", chunk) for chunk in chunks))
    reading = asyncio.create_task(s.read_all("c1"))
    assert await writing == [100_000] * 4
    await s.close_stdin("c1")
    arrived = await reading
    # In any order, but no write may be inside of another.
    assert sorted(arrived[at : at + 100_000] for at in range(0, 400_000, 100_000)) == (
        chunks
    )


@case("CloseStdin", "happy")
async def closed(s: Subject) -> None:
    await s.started("c1", "cat")
    await s.close_stdin("c1")
    assert await s.read_all("c1") == b""
    assert await s.wait("c1") == 0


@case("CloseStdin", "wrong state", NOT_FOUND, "no init process")
async def closed_after_the_wait(s: Subject) -> None:
    await s.started("c1", "true")
    await s.wait("c1")
    await s.close_stdin("c1")


@case("CloseStdin", "concurrent")
async def closed_at_once(s: Subject) -> None:
    await s.started("c1", "cat")
    await s.write("c1", "", b"before")
    await asyncio.gather(*(s.close_stdin("c1") for _ in range(5)))
    assert await s.read_all("c1") == b"before"


@case("CloseStdin", "cancelled")
async def closing_given_up(s: Subject) -> None:
    await s.started("c1", "cat")
    await s.abandoned(lambda other: other.close_stdin("c1"))
    assert await s.read_all("c1") == b""


# --- TtyWinResize ---


async def resize(s: Subject, name: str = "c1", exec_id: str = "") -> None:
    await s.agent.tty_win_resize(
        agent_pb2.TtyWinResizeRequest(
            container_id=name, exec_id=exec_id, row=24, column=81
        )
    )


async def created_on_a_terminal(s: Subject) -> None:
    request = s.creation("c1")
    process = default_process(("sh", "-c", "stty size"), terminal=True)
    request.OCI.Process.CopyFrom(process)
    await s.agent.create_container(request)


async def assert_resized(s: Subject) -> None:
    await s.start("c1")
    assert await s.read_terminal("c1") == b"24 81\r\n"


@case("TtyWinResize", "happy")
async def resized(s: Subject) -> None:
    await created_on_a_terminal(s)
    await resize(s)
    await assert_resized(s)


@case("TtyWinResize", "repeated")
async def resized_twice(s: Subject) -> None:
    await created_on_a_terminal(s)
    await resize(s)
    await resize(s)
    await assert_resized(s)


@case("TtyWinResize", "concurrent")
async def resized_at_once(s: Subject) -> None:
    await created_on_a_terminal(s)
    await asyncio.gather(*(resize(s) for _ in range(10)))
    await assert_resized(s)


@case("TtyWinResize", "cancelled")
async def resizing_given_up(s: Subject) -> None:
    await created_on_a_terminal(s)
    await s.abandoned(resize)
    await assert_resized(s)


@case("TtyWinResize", "wrong state", Code.UNAVAILABLE, "container 'c1': no tty")
async def no_terminal(s: Subject) -> None:
    await s.started("c1")
    await resize(s, "c1")


@case("TtyWinResize", "unknown id", INVALID, UNKNOWN)
async def resize_nobody(s: Subject) -> None:
    await resize(s, "nobody")


@case("TtyWinResize", "unknown id", NOT_FOUND, NO_EXEC)
async def resize_no_exec(s: Subject) -> None:
    await s.started("c1")
    await resize(s, "c1", "nobody")
