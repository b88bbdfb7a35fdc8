# SPDX-License-Identifier: Apache-2.0
"""The host's end of the trace port, as a program and as a library.

async with Receiver(f"{socket}_10240") as receiver:
    ...
    print(render_tree(receiver.spans()))
"""

from __future__ import annotations

TYPE_CHECKING = False  # As in `typing`, whose import would delay the program's start.

if TYPE_CHECKING:
    from kata_host.forwarder.receiver import Receiver

__all__ = ["Receiver"]


def __getattr__(name: str) -> object:
    # On first use (PEP 562), because the program of this package needs none of it.
    if name != "Receiver":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kata_host.forwarder.receiver import Receiver

    return Receiver
