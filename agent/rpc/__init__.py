# SPDX-License-Identifier: Apache-2.0
"""The thin layer between ttrpc and the domain.

Each module is a part of grpc.AgentService: one class whose methods check the
request, call the domain and build the reply. No method holds a lock or touches
the kernel.
"""

from __future__ import annotations

from agent.sandbox import Sandbox


def implementations(sandbox: Sandbox) -> list[object]:
    """Return what implements the containers' part of grpc.AgentService."""
    from agent.rpc.execution import ExecutionService
    from agent.rpc.stdio import StdioService

    return [ExecutionService(sandbox), StdioService(sandbox)]
