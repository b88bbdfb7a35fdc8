# SPDX-License-Identifier: Apache-2.0
"""The guest's side of the user network, made by calls of the Kata API alone.

As a runtime does it: the sandbox has a name server, the interface gets its address, a
route leads to the gateway, and containers see a resolv.conf that was copied into the
guest. So every agent that speaks the API can be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kata_host.client.upload import SHARED, upload_content
from kata_host.network import ADDRESS, GATEWAY, INTERFACE, MAC, MTU, NAME_SERVER, SUBNET
from kata_protos import agent_pb2, oci_pb2, types_pb2

if TYPE_CHECKING:
    from kata_protos.agent_ttrpc import AgentServiceClient

RESOLV_CONF: Final = f"{SHARED}/resolv.conf"
"""The guest's path of the file that containers see as theirs."""
DNS: Final = (f"nameserver {NAME_SERVER}",)
"""The lines of resolv.conf."""


async def connect_guest(agent: AgentServiceClient) -> None:
    """Configure the interface of a guest that was started with the user network.

    Raises `StatusError`.
    """
    length = SUBNET.partition("/")[2]
    address = types_pb2.IPAddress(family=types_pb2.v4, address=ADDRESS, mask=length)
    interface = types_pb2.Interface(
        device=INTERFACE,
        name=INTERFACE,
        hwAddr=MAC,
        mtu=MTU,
        IPAddresses=[address],
    )
    await agent.update_interface(agent_pb2.UpdateInterfaceRequest(interface=interface))
    routes = [
        types_pb2.Route(dest=SUBNET, device=INTERFACE, source=ADDRESS, scope=253),
        types_pb2.Route(gateway=GATEWAY, device=INTERFACE),
    ]
    await agent.update_routes(
        agent_pb2.UpdateRoutesRequest(routes=agent_pb2.Routes(Routes=routes))
    )
    content = "".join(f"{line}\n" for line in DNS)
    await upload_content(agent, content.encode(), RESOLV_CONF)


def resolv_conf_mount() -> oci_pb2.Mount:
    """Return what shows a container the name server of the user network."""
    return oci_pb2.Mount(
        destination="/etc/resolv.conf",
        source=RESOLV_CONF,
        type="bind",
        options=["rbind", "ro", "nosuid", "nodev", "noexec"],
    )
