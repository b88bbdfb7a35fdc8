# SPDX-License-Identifier: Apache-2.0
"""The other ports of a guest, beside that of its agent."""

from __future__ import annotations

from dataclasses import replace

from ttrpc.address import Address, UnixAddress, parse_address


def port_beside(agent: str, port: int) -> Address:
    """Return the address of a port of the guest whose agent has the address `agent`.

    Raises `ValueError` for an address without ports.
    """
    parsed = parse_address(agent)
    if isinstance(parsed, UnixAddress):
        raise ValueError(f"address '{agent}': only vsock and hvsock have ports")
    return replace(parsed, port=port)
