# SPDX-License-Identifier: Apache-2.0
"""The option that says which network a new guest has."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from kata_host.network import NETWORKS

if TYPE_CHECKING:
    from kata_host.ctl.target import Target
    from kata_protos import oci_pb2


def add_network_option(parser: argparse._ActionsContainer, what: str) -> None:
    parser.add_argument(
        "--network",
        choices=NETWORKS,
        default="none",
        help=f"{what}: none, which keeps what is not trusted from reaching anything, "
        "or user, in which it reaches what this host reaches (default: %(default)s)",
    )


def network_mounts(options: argparse.Namespace, target: Target) -> list[oci_pb2.Mount]:
    """Return the mounts that a container needs for the network of its guest."""
    network = options.network if target.entry is None else target.entry.network
    if network == "none":
        return []
    from kata_host.client.user_network import resolv_conf_mount

    return [resolv_conf_mount()]
