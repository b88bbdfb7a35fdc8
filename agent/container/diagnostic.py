# SPDX-License-Identifier: Apache-2.0
"""The termination message by which a container explains its end."""

from __future__ import annotations

import os
import stat
from typing import Final

from kata_agent.errors import InvalidArgument
from kata_agent.oci.spec import Spec

TERMINATION_LOG: Final = "termination_log"
_ANNOTATION: Final = "io.kubernetes.container.terminationMessagePath"
_LIMIT: Final = 4096
"""Bytes; Kubernetes keeps no more of a termination message."""


def read_diagnostic(log_type: str, spec: Spec) -> str:
    """Return the container's termination message, `""` without one.

    The message is in the file that the host mounts at the path of the annotation
    `io.kubernetes.container.terminationMessagePath`. May block. Raises
    `InvalidArgument` for a `log_type` other than `termination_log`.
    """
    if log_type != TERMINATION_LOG:
        raise InvalidArgument(
            f"diagnostic data: unknown type {log_type!r}, not {TERMINATION_LOG}"
        )
    inside = spec.get("annotations", {}).get(_ANNOTATION)
    sources = [
        mount["source"]
        for mount in spec["mounts"]
        if inside and mount["destination"] == inside and "source" in mount
    ]
    return _read(sources[-1]) if sources else ""


def _read(path: str) -> str:
    # The container writes this file, and must not make the agent open another one.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return os.read(fd, _LIMIT).decode(errors="replace")
    finally:
        os.close(fd)
