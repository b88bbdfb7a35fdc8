# SPDX-License-Identifier: Apache-2.0
"""grpc.Health: whether the agent serves, and its version."""

from __future__ import annotations

from typing import Final

from kata_agent.version import API_VERSION, VERSION
from kata_protos import health_pb2
from kata_protos.health_ttrpc import HealthBase
from ttrpc.call_context import CallContext

SERVING: Final = health_pb2.HealthCheckResponse(
    status=health_pb2.HealthCheckResponse.SERVING
)
"""The same for every call: to make it takes a tenth of a call."""


class HealthService(HealthBase):
    """Answers at once, because plain functions run on the event loop without a task."""

    def check(
        self, request: health_pb2.CheckRequest, context: CallContext
    ) -> health_pb2.HealthCheckResponse:
        return SERVING

    def version(
        self, request: health_pb2.CheckRequest, context: CallContext
    ) -> health_pb2.VersionCheckResponse:
        return health_pb2.VersionCheckResponse(
            grpc_version=API_VERSION, agent_version=VERSION
        )
