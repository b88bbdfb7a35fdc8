# SPDX-License-Identifier: Apache-2.0
"""A plugin for NRI: it sees containers come and go, and changes new ones.

    python plugin.py /var/run/nri/nri.sock

One socket carries two connections: the runtime calls this plugin over the first, and
this plugin calls the runtime over the second.
"""

from __future__ import annotations

import asyncio
import sys

from github.com.containerd.nri.pkg.api import api_pb2
from github.com.containerd.nri.pkg.api.api_ttrpc import (
    PLUGIN,
    PluginBase,
    RuntimeClient,
)

from ttrpc import CallContext, bind
from ttrpc.aio import Client, Mux, Server

PLUGIN_CONNECTION, RUNTIME_CONNECTION = 1, 2
EVENTS = (
    api_pb2.RUN_POD_SANDBOX,
    api_pb2.CREATE_CONTAINER,
    api_pb2.START_CONTAINER,
)


class Plugin(PluginBase):
    """Sets a variable in the environment of every new container."""

    def configure(
        self, request: api_pb2.ConfigureRequest, context: CallContext
    ) -> api_pb2.ConfigureResponse:
        print("runtime:", request.runtime_name, request.runtime_version)
        # Events are bits, from the one with number 1 on.
        mask = sum(1 << event - 1 for event in EVENTS)
        return api_pb2.ConfigureResponse(events=mask)

    def synchronize(
        self, request: api_pb2.SynchronizeRequest, context: CallContext
    ) -> api_pb2.SynchronizeResponse:
        print("containers before:", len(request.containers))
        return api_pb2.SynchronizeResponse()

    def create_container(
        self, request: api_pb2.CreateContainerRequest, context: CallContext
    ) -> api_pb2.CreateContainerResponse:
        print("create:", request.container.name)
        response = api_pb2.CreateContainerResponse()
        response.adjust.env.add(key="POD", value=request.pod.name)
        return response

    def state_change(
        self, request: api_pb2.StateChangeEvent, context: CallContext
    ) -> api_pb2.Empty:
        name = request.container.name or request.pod.name
        print("event:", api_pb2.Event.Name(request.event), name)
        return api_pb2.Empty()

    def shutdown(self, request: api_pb2.Empty, context: CallContext) -> api_pb2.Empty:
        return api_pb2.Empty()


async def main(path: str) -> None:
    mux = await Mux.connect(f"unix://{path}")
    plugin, runtime = mux.open(PLUGIN_CONNECTION), mux.open(RUNTIME_CONNECTION)
    async with Server([bind(PLUGIN, Plugin())]) as server, Client(runtime) as client:
        served = server.serve_connection(plugin)
        registration = api_pb2.RegisterPluginRequest(plugin_name="demo")
        registration.plugin_idx = "10"
        await RuntimeClient(client).register_plugin(registration, timeout=5)
        await served.wait_closed()  # The runtime hangs up.


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
