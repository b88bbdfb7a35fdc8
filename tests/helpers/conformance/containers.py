# SPDX-License-Identifier: Apache-2.0
"""Containers: create, start, pause, resume, remove."""

from __future__ import annotations

import asyncio

from kata_protos import agent_pb2
from tests.helpers.conformance.case import Subject, case
from ttrpc.codes import Code
from ttrpc.errors import StatusError

OK = Code.OK
INVALID = Code.INVALID_ARGUMENT
INTERNAL = Code.INTERNAL
NOT_FOUND = Code.NOT_FOUND
STATE = Code.FAILED_PRECONDITION
EXISTS = Code.ALREADY_EXISTS
UNKNOWN = "container 'nobody': not found"


# --- CreateContainer ---


@case("CreateContainer", "happy")
async def created(s: Subject) -> None:
    await s.created("c1")


@case("CreateContainer", "happy")
async def annotation_that_steers_crun(s: Subject) -> None:
    # crun would fail, because it connects to this socket.
    request = s.creation("c1")
    request.OCI.Annotations["run.oci.pidfd_receiver"] = "/nowhere"
    await s.agent.create_container(request)


@case("CreateContainer", "bad request", INVALID, "invalid id", INTERNAL)
async def traversal(s: Subject) -> None:
    await s.created("../x")


@case("CreateContainer", "bad request", INVALID, "invalid id", INTERNAL)
async def empty_id(s: Subject) -> None:
    await s.created("")


@case("CreateContainer", "bad request", INVALID, "invalid id", INTERNAL)
async def long_id(s: Subject) -> None:
    await s.created("x" * 300)


@case("CreateContainer", "bad request", INVALID, "'c1': no OCI spec", INTERNAL)
async def no_spec(s: Subject) -> None:
    request = agent_pb2.CreateContainerRequest(container_id="c1")
    await s.agent.create_container(request)


@case("CreateContainer", "bad request", INVALID, "spec: no linux", INTERNAL, OK)
async def no_linux(s: Subject) -> None:
    request = s.creation("c1")
    request.OCI.ClearField("Linux")
    await s.agent.create_container(request)


@case("CreateContainer", "bad request", INTERNAL, "the file /nope was not found")
async def missing_program(s: Subject) -> None:
    await s.created("c1", "/nope")


@case("CreateContainer", "bad request", NOT_FOUND, "'/nowhere'", INTERNAL)
async def missing_rootfs(s: Subject) -> None:
    request = s.creation("c1")
    request.OCI.Root.Path = "/nowhere"
    await s.agent.create_container(request)


@case("CreateContainer", "bad request")
async def after_a_failure(s: Subject) -> None:
    try:
        await s.created("c1", "/nope")
    except StatusError:
        await s.created("c1")


@case("CreateContainer", "repeated", EXISTS, "'c1': already exists", INTERNAL)
async def created_twice(s: Subject) -> None:
    await s.created("c1")
    await s.created("c1")


@case("CreateContainer", "concurrent")
async def one_of_five(s: Subject) -> None:
    results = await asyncio.gather(
        *(s.created("c1") for _ in range(5)), return_exceptions=True
    )
    assert results.count(None) == 1, results


@case("CreateContainer", "concurrent")
async def ten_at_once(s: Subject) -> None:
    await asyncio.gather(*(s.created(f"c{number}") for number in range(10)))


@case("CreateContainer", "cancelled")
async def creation_given_up(s: Subject) -> None:
    await s.abandoned(lambda other: other.created("c1"))
    # Whether it was made or not, its name is free after a removal.
    try:
        await s.remove("c1")
    except StatusError:
        pass
    await s.created("c1")


# --- StartContainer ---


@case("StartContainer", "happy")
async def ran(s: Subject) -> None:
    await s.started("c1", "sh", "-c", "echo out; exit 7")
    assert await s.read_all("c1") == b"out\n"
    assert await s.wait("c1") == 7


@case("StartContainer", "unknown id", INVALID, UNKNOWN, INTERNAL)
async def start_nobody(s: Subject) -> None:
    await s.start("nobody")


@case("StartContainer", "repeated", STATE, "cannot start, it is running", INTERNAL)
async def started_twice(s: Subject) -> None:
    await s.started("c1")
    await s.start("c1")


@case("StartContainer", "wrong state", STATE, "it is stopped", INTERNAL)
async def start_after_the_end(s: Subject) -> None:
    await s.started("c1", "true")
    await s.wait("c1")
    await s.start("c1")


@case("StartContainer", "concurrent")
async def one_start(s: Subject) -> None:
    await s.created("c1")
    results = await asyncio.gather(
        *(s.start("c1") for _ in range(5)), return_exceptions=True
    )
    assert results.count(None) == 1, results


@case("StartContainer", "cancelled")
async def start_given_up(s: Subject) -> None:
    await s.created("c1", "sh", "-c", "exit 3")
    await s.abandoned(lambda other: other.start("c1"))
    assert await s.wait("c1") == 3


# --- PauseContainer, ResumeContainer ---


@case("PauseContainer", "happy")
async def paused(s: Subject) -> None:
    await s.started("c1")
    await s.pause("c1")
    await s.resume("c1")
    await s.execute("c1", "e1", "true")
    assert await s.wait("c1", "e1") == 0


@case("PauseContainer", "unknown id", INVALID, UNKNOWN)
async def pause_nobody(s: Subject) -> None:
    await s.pause("nobody")


@case("PauseContainer", "repeated", STATE, "cannot pause, it is paused", INTERNAL)
async def paused_twice(s: Subject) -> None:
    await s.started("c1")
    await s.pause("c1")
    await s.pause("c1")


@case("PauseContainer", "wrong state", STATE, "it is stopped", INTERNAL)
async def pause_after_the_end(s: Subject) -> None:
    await s.started("c1", "true")
    await s.wait("c1")
    await s.pause("c1")


@case("PauseContainer", "concurrent")
async def one_pause(s: Subject) -> None:
    await s.started("c1")
    results = await asyncio.gather(
        *(s.pause("c1") for _ in range(3)), return_exceptions=True
    )
    assert results.count(None) == 1, results


@case("PauseContainer", "cancelled")
async def pause_given_up(s: Subject) -> None:
    await s.started("c1")
    await s.abandoned(lambda other: other.pause("c1"))
    await s.resume("c1")


@case("PauseContainer", "wrong state")
async def paused_before_the_start(s: Subject) -> None:
    await s.created("c1", "sh", "-c", "exit 3")
    await s.pause("c1")
    await s.resume("c1")
    await s.start("c1")
    assert await s.wait("c1") == 3


@case("ResumeContainer", "happy")
async def goes_on(s: Subject) -> None:
    await s.started("c1", "sh", "-c", "read x; echo $x")
    await s.pause("c1")
    await s.write("c1", "", b"later\n")
    await s.resume("c1")
    assert await s.read_all("c1") == b"later\n"


@case("ResumeContainer", "repeated", STATE, "it is running", INTERNAL)
async def resumed_twice(s: Subject) -> None:
    await s.started("c1")
    await s.pause("c1")
    await s.resume("c1")
    await s.resume("c1")


@case("ResumeContainer", "concurrent")
async def one_resume(s: Subject) -> None:
    await s.started("c1")
    await s.pause("c1")
    results = await asyncio.gather(
        *(s.resume("c1") for _ in range(3)), return_exceptions=True
    )
    assert results.count(None) == 1, results


@case("ResumeContainer", "cancelled")
async def resume_given_up(s: Subject) -> None:
    await s.started("c1", "sh", "-c", "read x; exit 5")
    await s.pause("c1")
    await s.abandoned(lambda other: other.resume("c1"))
    await s.write("c1", "", b"\n")
    assert await s.wait("c1") == 5


@case("ResumeContainer", "unknown id", INVALID, UNKNOWN)
async def resume_nobody(s: Subject) -> None:
    await s.resume("nobody")


@case("ResumeContainer", "wrong state", STATE, "it is running", INTERNAL)
async def resume_what_runs(s: Subject) -> None:
    await s.started("c1")
    await s.resume("c1")


# --- RemoveContainer ---


@case("RemoveContainer", "happy")
async def removed(s: Subject) -> None:
    await s.started("c1", "sh", "-c", "sleep 1000 & sleep 1000")
    await s.signal("c1", "", 9)
    await s.wait("c1")
    await s.remove("c1")
    await s.created("c1")


@case("RemoveContainer", "wrong state")
async def removed_before_the_start(s: Subject) -> None:
    await s.created("c1")
    await s.remove("c1")


@case("RemoveContainer", "wrong state")
async def removed_while_it_runs(s: Subject) -> None:
    await s.started("c1")
    waiting = asyncio.create_task(s.wait("c1"))
    await s.remove("c1", 10)
    if s.is_ours:
        assert await waiting == 137
    waiting.cancel()


@case("RemoveContainer", "wrong state", OK, "", INTERNAL)
async def removed_while_paused(s: Subject) -> None:
    await s.started("c1")
    await s.pause("c1")
    await s.remove("c1")


@case("RemoveContainer", "unknown id", INVALID, UNKNOWN, INTERNAL)
async def remove_nobody(s: Subject) -> None:
    await s.remove("nobody")


@case("RemoveContainer", "repeated", INVALID, "'c1': not found", INTERNAL)
async def removed_twice(s: Subject) -> None:
    await s.created("c1")
    await s.remove("c1")
    await s.remove("c1")


@case("RemoveContainer", "concurrent")
async def one_removal(s: Subject) -> None:
    await s.started("c1")
    results = await asyncio.gather(
        *(s.remove("c1") for _ in range(3)), return_exceptions=True
    )
    assert None in results, results


@case("RemoveContainer", "cancelled", INVALID, "'c1': not found", INTERNAL)
async def removal_given_up(s: Subject) -> None:
    await s.started("c1")
    await s.abandoned(lambda other: other.remove("c1"))
    for _ in range(2):
        await s.remove("c1")
