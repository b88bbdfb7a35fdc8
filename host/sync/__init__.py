# SPDX-License-Identifier: Apache-2.0
"""The SDK without asyncio, from any thread, in Jupyter too.

    from kata_host.sync import Guest

    with Guest.local() as guest:
        print(guest.run(["uname", "-a"]).text)

Names, arguments and errors are those of `kata_host`. One thread of the program runs the
event loop of all of it. A name is loaded on its first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kata_host.client.limits import Limits
    from kata_host.client.result import Result
    from kata_host.errors import SandboxError
    from kata_host.sync.guest import Guest
    from kata_host.sync.pool import Pool

_HOMES = {
    "Guest": "kata_host.sync.guest",
    "Limits": "kata_host.client.limits",
    "Pool": "kata_host.sync.pool",
    "Result": "kata_host.client.result",
    "SandboxError": "kata_host.errors",
}

__all__ = ["Guest", "Limits", "Pool", "Result", "SandboxError"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
