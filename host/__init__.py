# SPDX-License-Identifier: Apache-2.0
"""The programs and libraries of the host: no module here ever runs in a guest.

    from kata_host import Guest, Limits, Pool

sdk/         guests, and commands in them, as scripts use them
sync/        the same without asyncio
client/      calls a guest's agent: sandboxes, containers, processes
ctl/         the program kata-agent-ctl
guest/       local and VM guests, the vsock backend, the image, the tarball
keeper/      containers that outlive their command, and what is known of them
forwarder/   the program kata-trace-forwarder
trace/       spans as a tree in a terminal, and as a page

A name is loaded on its first use. Nothing else is loaded here, because the programs
start with this file, and Control-C is not theirs before `early_interrupt`.
"""

from __future__ import annotations

from kata_agent.version import VERSION as __version__

# Type checkers take this name for true; `typing` has it too, and takes 10 ms to load.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kata_host.client.limits import Limits
    from kata_host.client.result import Result
    from kata_host.errors import SandboxError
    from kata_host.sdk.guest import Guest
    from kata_host.sdk.pool import Pool

_HOMES = {
    "Guest": "kata_host.sdk.guest",
    "Limits": "kata_host.client.limits",
    "Pool": "kata_host.sdk.pool",
    "Result": "kata_host.client.result",
    "SandboxError": "kata_host.errors",
}

__all__ = ["Guest", "Limits", "Pool", "Result", "SandboxError", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
