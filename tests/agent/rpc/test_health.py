# SPDX-License-Identifier: Apache-2.0
"""The answers of grpc.Health."""

from __future__ import annotations

from typing import Any, cast

from kata_agent.rpc.health import HealthService
from kata_agent.version import VERSION
from kata_protos import health_pb2


def test_every_service_is_said_to_serve() -> None:
    context = cast(Any, None)
    request = health_pb2.CheckRequest(service="any")
    response = HealthService().check(request, context)
    assert response.status == health_pb2.HealthCheckResponse.SERVING


def test_the_version_that_runtimes_know() -> None:
    context = cast(Any, None)
    response = HealthService().version(health_pb2.CheckRequest(), context)
    assert (response.grpc_version, response.agent_version) == ("0.0.1", VERSION)
