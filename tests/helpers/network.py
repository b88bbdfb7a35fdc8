# SPDX-License-Identifier: Apache-2.0
"""A network of its own for a test inside `in_namespaces`: a veth pair."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import AsyncIterator
from typing import Any

from kata_agent.device.hotplug import Hotplug
from kata_agent.device.uevents import Uevents
from kata_agent.network.network import Network
from kata_agent.options.config import Config
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from kata_agent.system_paths import SystemPaths
from kata_protos import types_pb2

MAC = "02:00:00:00:00:01"
PEER_MAC = "02:00:00:00:00:02"


@contextlib.asynccontextmanager
async def open_network(
    paths: SystemPaths | None = None, config: Config | None = None
) -> AsyncIterator[Network]:
    """Open a network with the link `veth0` (MAC) and its other end, `peer0`."""
    ip(f"link add veth0 address {MAC} type veth peer name peer0 address {PEER_MAC}")
    ip("link set dev peer0 up")
    paths = paths or SystemPaths()
    uevents = Uevents(paths)
    with Reaper() as reaper:
        timeout = (config or Config()).hotplug_timeout
        yield Network(reaper, Hotplug(paths, uevents, timeout), Reserve())
        uevents.close()


def ip(command: str) -> None:
    """Run one `ip` command."""
    ip_bytes(*command.encode().split())


def ip_bytes(*words: bytes) -> None:
    """Run one `ip` command, whose words may be any bytes."""
    # The reaper collects every child, so `run` may not get the exit status.
    result = subprocess.run([b"ip", *words], capture_output=True)
    assert not result.stderr, f"ip {words}: {result.stderr!r}"


def show(command: str) -> list[Any]:
    """Return the objects that `ip COMMAND` shows."""
    result = subprocess.run(
        ["ip", "-json", *command.split()], capture_output=True, text=True
    )
    assert not result.stderr, f"ip {command}: {result.stderr}"
    return [thing for thing in json.loads(result.stdout or "[]") if thing]


def addresses(name: str) -> list[str]:
    """Return a link's addresses without IPv6 link-local ones."""
    (link,) = show(f"address show dev {name}")
    return [
        f"{info['local']}/{info['prefixlen']}"
        for info in link["addr_info"]
        if not info["local"].startswith("fe80:")
    ]


def routes(*arguments: str) -> set[str]:
    """Return the main table's routes as texts, without those of the kernel."""
    return {
        " ".join(
            f"{key} {route[key]}"
            for key in ("dst", "gateway", "dev", "prefsrc", "scope")
            if key in route
        )
        for version in ("-4", "-6")
        for route in show(f"{version} route show table main")
        if route.get("protocol") != "kernel"
    }


def interface(**fields: Any) -> types_pb2.Interface:
    """Return a request, whose `addresses` are texts such as `10.0.0.1/8`."""
    texts = fields.pop("addresses", [])
    message = types_pb2.Interface(**fields)
    for text in texts:
        address, _, mask = text.partition("/")
        family = types_pb2.v6 if ":" in address else types_pb2.v4
        message.IPAddresses.add(family=family, address=address, mask=mask)
    return message
