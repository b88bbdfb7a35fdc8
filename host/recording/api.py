# SPDX-License-Identifier: Apache-2.0
"""The agent's API, and the fields of its answers that Kata's runtimes read.

The fields are those that `kata_agent.go` of the Go runtime or the agent crate of
runtime-rs look at. A runtime hands statistics and metrics on as they are, so these only
have to be there.
"""

from __future__ import annotations

from typing import Final

from kata_host.recording.redaction import redact
from kata_host.recording.surroundings import Surroundings
from kata_protos.agent_ttrpc import AGENT_SERVICE
from kata_protos.health_ttrpc import HEALTH
from ttrpc.recording.api import Api, Reads

READS: Final = {
    "Check": Reads(values=("status",)),
    "GetDiagnosticData": Reads(present=("data",)),
    "GetGuestDetails": Reads(
        values=("agent_details.supports_seccomp",),
        present=("agent_details.version", "agent_details.storage_handlers"),
    ),
    "GetMetrics": Reads(present=("metrics",)),
    "GetOOMEvent": Reads(values=("container_id",)),
    "GetVolumeStats": Reads(present=("usage",)),
    "StatsContainer": Reads(present=("cgroup_stats.cpu_stats.cpu_usage.total_usage",)),
    "WaitProcess": Reads(values=("status",)),
    "WriteStdin": Reads(values=("len",)),
}
"""By method; of the others a runtime reads the status alone."""

API: Final = Api(
    "kata",
    {service.name: service for service in (AGENT_SERVICE, HEALTH)},
    redact=redact,
    reads=READS,
    companion=Surroundings,
)
