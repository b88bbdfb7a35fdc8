# SPDX-License-Identifier: Apache-2.0
"""Kernel parameters that belong to a namespace the container shares.

The runtime refuses parameters of a namespace that the container does not have for
itself. The network namespace is the guest's, so that the agent writes `net.` itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from kata_agent.errors import InvalidArgument
from kata_agent.linux.openat2 import open_beneath
from kata_agent.oci.spec import Spec

_NETWORK: Final = "net/"


def split_network(spec: Spec) -> dict[str, str]:
    """Remove the `net.` parameters from a spec and return them."""
    sysctl: dict[str, str] = spec["linux"].get("sysctl", {})
    network = {
        key: value for key, value in sysctl.items() if to_file(key).startswith(_NETWORK)
    }
    rest = {key: value for key, value in sysctl.items() if key not in network}
    spec["linux"].pop("sysctl", None)
    if rest:
        spec["linux"]["sysctl"] = rest
    return network


def to_file(key: str) -> str:
    """Return a parameter's file below `/proc/sys`.

    In a key whose first separator is a slash, dots are part of an interface's name
    (man 5 sysctl.d).
    """
    dot, slash = key.find("."), key.find("/")
    if slash != -1 and (dot == -1 or slash < dot):
        return key
    return key.translate(str.maketrans("./", "/."))


def write_network(parameters: dict[str, str], proc: Path) -> None:
    """Write `net.` parameters; a key cannot lead outside of `proc`'s `sys/net`.

    May block. Raises `InvalidArgument` for the first parameter that fails.
    """
    if not parameters:
        return
    root = os.open(proc / "sys" / _NETWORK, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for key, value in parameters.items():
            try:
                fd = open_beneath(
                    root, to_file(key).removeprefix(_NETWORK), os.O_WRONLY
                )
                try:
                    os.write(fd, value.encode())
                finally:
                    os.close(fd)
            except OSError as error:
                reason = os.strerror(error.errno or 0)
                raise InvalidArgument(f"sysctl {key!r}: {reason}") from error
    finally:
        os.close(root)
