# SPDX-License-Identifier: Apache-2.0
"""The sandbox: created, created again, destroyed. Each case has a guest of its own."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from kata_protos import agent_pb2
from tests.helpers.conformance.case import Subject, case
from ttrpc.codes import Code
from ttrpc.errors import TtrpcError

OK = Code.OK
INVALID = Code.INVALID_ARGUMENT
INTERNAL = Code.INTERNAL
NOT_FOUND = Code.NOT_FOUND
EXISTS = Code.ALREADY_EXISTS


async def create(s: Subject) -> None:
    await s.agent.create_sandbox(
        agent_pb2.CreateSandboxRequest(sandbox_id="conformance", hostname="conformance")
    )


async def destroy(s: Subject) -> None:
    await s.agent.destroy_sandbox(agent_pb2.DestroySandboxRequest())


# --- CreateSandbox ---


@case("CreateSandbox", "happy", own_guest=True)
async def its_hostname_is_the_containers(s: Subject) -> None:
    await create(s)
    await s.restore_rootfs()
    assert await s.output_of("hostname") == b"conformance\n"


@case("CreateSandbox", "happy", own_guest=True)
async def its_dns_is_the_guests(s: Subject) -> None:
    request = agent_pb2.CreateSandboxRequest(
        sandbox_id="conformance", dns=["nameserver 192.0.2.53"]
    )
    await s.agent.create_sandbox(request)


@case("CreateSandbox", "bad request", INVALID, "over 64 bytes", OK, INTERNAL)
async def long_hostname(s: Subject) -> None:
    request = agent_pb2.CreateSandboxRequest(hostname="h" * 65)
    await s.agent.create_sandbox(request)


@case("CreateSandbox", "bad request", INVALID, "unknown driver 'x'", INTERNAL)
async def unknown_driver(s: Subject) -> None:
    storage = agent_pb2.Storage(driver="x", mount_point="/run/kata-containers/x")
    request = agent_pb2.CreateSandboxRequest(storages=[storage])
    await s.agent.create_sandbox(request)


@case("CreateSandbox", "bad request", INVALID, "kernel module ''", INTERNAL)
async def module_without_name(s: Subject) -> None:
    module = agent_pb2.KernelModule()
    request = agent_pb2.CreateSandboxRequest(kernel_modules=[module])
    await s.agent.create_sandbox(request)


@case("CreateSandbox", "repeated", own_guest=True)
async def created_twice(s: Subject) -> None:
    await create(s)
    await create(s)


@case("CreateSandbox", "wrong state", EXISTS, "it has containers", OK, own_guest=True)
async def created_around_containers(s: Subject) -> None:
    await s.created("c1")
    await create(s)


@case("CreateSandbox", "concurrent", own_guest=True)
async def created_at_once(s: Subject) -> None:
    await asyncio.gather(*(create(s) for _ in range(4)))
    await s.restore_rootfs()
    await s.created("c1")


@case("CreateSandbox", "cancelled", own_guest=True)
async def sandbox_given_up(s: Subject) -> None:
    await s.abandoned(create)
    await create(s)
    await s.restore_rootfs()
    await s.created("c1")


# --- DestroySandbox ---


@case("DestroySandbox", "happy", own_guest=True)
async def destroyed_with_containers(s: Subject) -> None:
    await s.started("c1")
    await s.created("c2")
    await destroy(s)


@case("DestroySandbox", "wrong state", INTERNAL, "sandbox: destroyed", own_guest=True)
async def events_end_with_the_sandbox(s: Subject) -> None:
    event = s.agent.get_oom_event(agent_pb2.GetOOMEventRequest())
    waiting = asyncio.create_task(event)
    await s.settled()
    await destroy(s)
    await waiting


@case("DestroySandbox", "repeated", own_guest=True)
async def destroyed_twice(s: Subject) -> None:
    await destroy(s)
    # The agent may have ended before it could answer.
    with contextlib.suppress(TtrpcError):
        await destroy(s)


@case("DestroySandbox", "concurrent", own_guest=True)
async def destroyed_at_once(s: Subject) -> None:
    await s.started("c1")
    results = await asyncio.gather(
        *(destroy(s) for _ in range(4)), return_exceptions=True
    )
    assert None in results, results
    if s.is_ours:
        assert results == [None] * 4, results


@case("DestroySandbox", "cancelled", own_guest=True)
async def destruction_given_up(s: Subject) -> None:
    await s.started("c1")
    with contextlib.suppress(TtrpcError):
        await s.abandoned(destroy)
    # The destruction goes on: in the end the agent is closing or does not answer, or
    # has gone while a call was being sent.
    with pytest.raises(TtrpcError, match="closed|send failed"):
        await check_for_ever(s)


async def check_for_ever(s: Subject) -> None:
    while True:
        await s.client.check()
