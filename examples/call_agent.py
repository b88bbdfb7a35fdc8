# SPDX-License-Identifier: Apache-2.0
"""Call an agent that runs: typed, and by the name of any of its calls.

    python examples/call_agent.py hvsock:///run/guest.sock:1024

`kata-agent-ctl guest start --local` starts a guest and prints its address.
"""

from __future__ import annotations

import sys

from google.protobuf import json_format

from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AGENT_SERVICE, AgentServiceSyncClient
from ttrpc import Code, StatusError
from ttrpc.sync import Client


def main(address: str) -> None:
    with Client.connect(address, timeout=10) as client:
        # Typed: one method for each call, checked by mypy and completed by editors.
        agent = AgentServiceSyncClient(client)
        details = agent.get_guest_details(agent_pb2.GuestDetailsRequest(), timeout=5)
        print("agent version:", details.agent_details.version)

        # An error of the agent has a code and a text.
        try:
            agent.start_container(agent_pb2.StartContainerRequest(container_id="none"))
        except StatusError as error:
            print("error:", Code(error.code).name, "and a text:", error.message)

        # By name: the service knows its methods and their messages.
        method = AGENT_SERVICE.methods["GetMetrics"]
        request = json_format.ParseDict({}, method.request_type())
        response = client.call(method, request, timeout=5)
        assert isinstance(response, agent_pb2.Metrics)
        print("lines of metrics:", len(response.metrics.splitlines()))


main(sys.argv[1])
