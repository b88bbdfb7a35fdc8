# SPDX-License-Identifier: Apache-2.0
"""The resources that a guest may run out of, by the errors that tell of it."""

from __future__ import annotations

import errno
from typing import Final

_RESOURCES: Final = {
    errno.EMFILE: "the agent has no free file descriptor",
    errno.ENFILE: "the guest has no free file descriptor",
    errno.EAGAIN: "the guest has no free process or thread",
    errno.ENOMEM: "the guest has no free memory",
    errno.ENOBUFS: "the guest has no free memory",
    errno.ENOSPC: "no space is left",
    errno.EDQUOT: "the quota is used up",
}
"""man 3 errno; EAGAIN is that of clone (man 2 clone), since the agent waits for its
descriptors to be ready."""


def exhausted_resource(error: BaseException) -> str | None:
    """Return what `error` says the guest has run out of; None for any other error."""
    if isinstance(error, MemoryError):
        return _RESOURCES[errno.ENOMEM]
    if isinstance(error, OSError):
        return _RESOURCES.get(error.errno or 0)
    return None
