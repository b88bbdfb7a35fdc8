# SPDX-License-Identifier: Apache-2.0
"""grpc.Health, and calls of a service or a method that the agent does not have."""

from __future__ import annotations

from kata_protos import health_pb2
from tests.helpers.conformance.case import Subject, case, stateless
from ttrpc.codes import Code


@case("Check", "happy")
async def serves(s: Subject) -> None:
    response = await s.client.health.check(health_pb2.CheckRequest())
    assert response.status == health_pb2.HealthCheckResponse.SERVING


@case("Check", "happy")
async def serves_any_name(s: Subject) -> None:
    request = health_pb2.CheckRequest(service="no such service")
    response = await s.client.health.check(request)
    assert response.status == health_pb2.HealthCheckResponse.SERVING


stateless("Check", serves)


@case("Version", "happy")
async def version(s: Subject) -> None:
    response = await s.client.health.version(health_pb2.CheckRequest())
    assert response.grpc_version == "0.0.1"
    assert response.agent_version


stateless("Version", version)


@case("Check", "bad request", Code.UNIMPLEMENTED, "NoSuchCall")
async def unknown_method(s: Subject) -> None:
    await s.call_unknown("grpc.Health", "NoSuchCall")


@case("Check", "bad request", Code.UNIMPLEMENTED, "grpc.NoSuch", Code.INVALID_ARGUMENT)
async def unknown_service(s: Subject) -> None:
    # To ttrpc-rust, an unknown service is an invalid argument.
    await s.call_unknown("grpc.NoSuch", "Check")
