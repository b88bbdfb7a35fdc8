# SPDX-License-Identifier: Apache-2.0
"""The networks that a guest can have: none, or the user network.

The user network is one address behind a translation in a program of this host, which
needs no rights of the network: QEMU's own for a VM (`kata_host.guest.vm_network`),
slirp4netns for a local guest. Both are libslirp, so the addresses are the same. What
the guest sends leaves this host as slirp4netns's own connections; nothing comes in.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

Network: TypeAlias = Literal["none", "user"]
NETWORKS: Final = get_args(Network)

INTERFACE: Final = "eth0"
MAC: Final = "02:00:00:00:02:0f"
"""Locally administered; each guest is alone in its network."""
MTU: Final = 1500
SUBNET: Final = "10.0.2.0/24"
ADDRESS: Final = "10.0.2.15"
GATEWAY: Final = "10.0.2.2"
NAME_SERVER: Final = "10.0.2.3"
"""Hands questions to the first name server of this host's /etc/resolv.conf."""


def check_network(network: str) -> None:
    """Raise `ValueError` unless `network` is one of `NETWORKS`."""
    if network not in NETWORKS:
        raise ValueError(f"network {network!r}: neither 'none' nor 'user'")
