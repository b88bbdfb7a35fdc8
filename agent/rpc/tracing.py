# SPDX-License-Identifier: Apache-2.0
"""StartTracing and StopTracing: Kata 1.x's dynamic tracing."""

from __future__ import annotations

from google.protobuf.empty_pb2 import Empty

from kata_agent.errors import InvalidState
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceBase
from kata_tracing.tracing import Tracing, TracingStateError
from ttrpc.call_context import CallContext


class TracingService(AgentServiceBase):
    """Part of grpc.AgentService. Switches tracing on and off, any number of times."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    async def start_tracing(
        self, request: agent_pb2.StartTracingRequest, context: CallContext
    ) -> Empty:
        """Answer when the calls that follow are traced."""
        try:
            await self._tracing.start_by_call()
        except TracingStateError as error:
            raise InvalidState(str(error)) from None
        return Empty()

    async def stop_tracing(
        self, request: agent_pb2.StopTracingRequest, context: CallContext
    ) -> Empty:
        """Answer when the spans are delivered, or when the time for that is over."""
        try:
            await self._tracing.stop_by_call()
        except TracingStateError as error:
            raise InvalidState(str(error)) from None
        return Empty()
