# SPDX-License-Identifier: Apache-2.0
"""The host's end of the trace port, as a program and as a library.

async with Receiver(f"{socket}_10240") as receiver:
    ...
    print(render_tree(receiver.spans()))
"""

from kata_host.forwarder.receiver import Receiver

__all__ = ["Receiver"]
