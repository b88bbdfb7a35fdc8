# SPDX-License-Identifier: Apache-2.0
"""Keeps the memory of a large message for the next one.

A message of 1 MiB has several copies on its way: the received bytes, protobuf's
message, the bytes of the answer. When they are freed, glibc gives the end of its heap
back to the kernel if more is free there than twice the largest mapping that was ever
freed (man 3 mallopt, M_MMAP_THRESHOLD). The next message then takes a thousand page
faults to get that memory back, which is more than half of its time on the server.
"""

from __future__ import annotations

import functools

from ttrpc.frame import MESSAGE_LIMIT


@functools.cache
def keep_freed_memory() -> None:
    """Have glibc keep up to 8 MiB of freed memory from now on.

    Any message of the largest size has the same effect. Other allocators do as before,
    and so does a glibc whose limits the program or its environment has set.
    """
    # Mapped and freed without being touched, so that it takes no memory.
    bytes(MESSAGE_LIMIT)
