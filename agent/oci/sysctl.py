# SPDX-License-Identifier: Apache-2.0
"""Kernel parameters that belong to a namespace the container shares.

The runtime refuses them where the container has no such namespace of its own, so
the agent writes them: those of the network, which is the guest's, in its own.
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
    """Take the `net.` parameters out of a spec and return them."""
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

    A key whose first separator is a slash keeps its dots, which are part of an
    interface's name then (man 5 sysctl.d).
    """
    dot, slash = key.find("."), key.find("/")
    if slash != -1 and (dot == -1 or slash < dot):
        return key
    return key.translate(str.maketrans("./", "/."))


def write_network(parameters: dict[str, str], proc: Path) -> None:
    """Write `net.` parameters, and nothing else that a key may lead to.

    May block. Raises `InvalidArgument` naming the one that fails.
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
