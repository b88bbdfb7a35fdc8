# SPDX-License-Identifier: Apache-2.0
"""The resources that a guest may run out of, by the errors that tell of it."""

from __future__ import annotations

import errno
import os
from typing import Final, NamedTuple

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


class Exhaustion(NamedTuple):
    """What the guest has run out of."""

    resource: str
    kernel_words: str
    """The kernel's words for it, which an error's text may have."""


def find_exhaustion(error: BaseException) -> Exhaustion | None:
    """Return what the guest has run out of, says `error` or an error that caused it."""
    cause: BaseException | None = error
    while cause is not None:
        number = cause.errno if isinstance(cause, OSError) else None
        if isinstance(cause, MemoryError):
            number = errno.ENOMEM
        if number in _RESOURCES:
            return Exhaustion(_RESOURCES[number], os.strerror(number))
        cause = cause.__cause__
    return None


def told_exhaustion(reason: str) -> OSError | None:
    """Return the error of the kernel that a program's last words name, if it is one.

    ENOSPC of a cgroup's file means a set of CPUs that the parent does not have.
    """
    words = reason.lower()
    for number in _RESOURCES:
        is_cpuset = number == errno.ENOSPC and "cpuset" in words
        if words.endswith(os.strerror(number).lower()) and not is_cpuset:
            return OSError(number, os.strerror(number))
    return None
