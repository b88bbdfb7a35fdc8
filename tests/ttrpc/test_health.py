# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ttrpc import Method, Raw, StatusError
from ttrpc.aio import Client, Server
from ttrpc.aio.testing import connected
from ttrpc.health import (
    CHECK,
    NOT_SERVING,
    SERVICE_UNKNOWN,
    SERVING,
    WATCH,
    Health,
    HealthCheckRequest,
)


async def check(client: Client, service: str = "") -> int:
    return (await client.call(CHECK, HealthCheckRequest(service=service))).status


async def test_a_service_has_the_status_that_was_set() -> None:
    service = Health()
    async with connected(Server([service.bound])) as client:
        assert await check(client) == SERVING
        with pytest.raises(StatusError, match="^NOT_FOUND: service 'a.B': unknown$"):
            await check(client, "a.B")
        with pytest.raises(StatusError) as caught:
            await check(client, "a" * (1 << 20))
        assert len(caught.value.message) < 2000
        for status in (SERVING, NOT_SERVING, SERVING):
            service.set_status("a.B", status)
            assert await check(client, "a.B") == status
        service.set_status("", NOT_SERVING)
        assert await check(client) == NOT_SERVING


async def test_it_is_grpcs_protocol_on_the_wire() -> None:
    """Field 1 of the request is the name, field 1 of the response the status."""
    method = Method.raw("grpc.health.v1.Health", "Check")
    service = Health()
    service.set_status("a.B", NOT_SERVING)
    async with connected(Server([service.bound])) as client:
        assert await client.call(method, Raw()) == b"\x08\x01"
        assert await client.call(method, Raw(b"\x0a\x03a.B")) == b"\x08\x02"


async def test_a_watch_tells_of_each_change() -> None:
    service = Health()
    request = HealthCheckRequest(service="a.B")
    async with connected(Server([service.bound])) as client:
        async with (
            client.open_stream(WATCH, request) as first,
            client.open_stream(WATCH, request) as second,
            client.open_stream(WATCH, HealthCheckRequest()) as whole,
        ):
            streams = (first, second)
            assert [await status(it) for it in streams] == 2 * [SERVICE_UNKNOWN]
            assert await status(whole) == SERVING
            for set_to in (SERVING, NOT_SERVING):
                service.set_status("a.B", set_to)
                # Setting it to what it is tells nothing.
                service.set_status("a.B", set_to)
                assert [await status(it) for it in streams] == 2 * [set_to]
            second.close()
            service.set_status("", NOT_SERVING)
            assert await status(whole) == NOT_SERVING
            service.set_status("a.B", SERVING)
            assert await status(first) == SERVING


async def status(stream: Any) -> Any:
    async with asyncio.timeout(10):
        response = await stream.recv()
    return response.status


async def test_a_watch_ends_with_its_caller() -> None:
    service = Health()
    server = Server([service.bound])
    async with connected(server) as client:
        stream = await client.open_stream(WATCH, HealthCheckRequest())
        assert await status(stream) == SERVING
        assert server.calls_in_flight == 1
    assert server.calls_in_flight == 0
    service.set_status("", NOT_SERVING)


async def test_a_server_that_shuts_down_does_not_wait_for_watches() -> None:
    """The protocol cannot cancel a call, so a watch would last until the timeout."""
    service = Health()
    service.set_status("a.B", SERVING)
    server = Server([service.bound], stopping=service.shutdown)
    async with connected(server) as client:
        watches = [
            await client.open_stream(WATCH, HealthCheckRequest(service=name))
            for name in ("", "a.B", "c.D")
        ]
        first = [await status(it) for it in watches]
        assert first == [SERVING, SERVING, SERVICE_UNKNOWN]
        async with asyncio.timeout(10):
            assert await server.shutdown()
        last = [await status(it) for it in watches[:2]]
        assert last == [NOT_SERVING, NOT_SERVING]
        for watch in watches:
            with pytest.raises(StatusError, match="^UNAVAILABLE: server: is shutting"):
                await watch.recv()


async def test_after_the_shutdown_every_service_stays_down() -> None:
    service = Health()
    service.set_status("a.B", SERVING)
    async with connected(Server([service.bound])) as client:
        service.shutdown()
        service.set_status("a.B", SERVING)
        assert [await check(client, name) for name in ("", "a.B")] == 2 * [NOT_SERVING]


@pytest.mark.parametrize("wrong", [SERVICE_UNKNOWN, 0, 99, "SERVING"])
def test_a_status_is_serving_or_not(wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"^status {wrong}: neither SERVING nor NOT"):
        Health().set_status("a.B", wrong)


async def test_a_script_asks_without_asyncio(tmp_path: Path) -> None:
    """As a probe does, from a process of its own."""
    address = f"unix://{tmp_path}/a.sock"
    script = """
import sys
from ttrpc.health import CHECK, SERVING, HealthCheckRequest
from ttrpc.sync import Client
with Client.connect(sys.argv[1], timeout=10) as client:
    answer = client.call(CHECK, HealthCheckRequest(), timeout=10)
sys.exit(answer.status != SERVING)
"""
    service = Health()
    async with Server([service.bound]) as server:
        await server.listen(address)
        for set_to, expected in ((SERVING, 0), (NOT_SERVING, 1)):
            service.set_status("", set_to)
            probe = await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, address
            )
            assert await probe.wait() == expected


def test_a_program_may_load_grpcs_messages_too() -> None:
    """A descriptor pool takes a name once."""
    program = """
from google.protobuf import descriptor_pb2, descriptor_pool
import ttrpc.health
file = descriptor_pb2.FileDescriptorProto(
    name="grpc/health/v1/health.proto", package="grpc.health.v1"
)
file.message_type.add(name="HealthCheckRequest")
file.service.add(name="Health")
descriptor_pool.Default().Add(file)
descriptor_pool.Default().FindServiceByName("grpc.health.v1.Health")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
