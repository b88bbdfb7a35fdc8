# SPDX-License-Identifier: Apache-2.0
"""Whether a container's init would react to a signal."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

_TERM: Final = 1 << (signal.SIGTERM - 1)


def ignores_term(proc: Path, pid: int) -> bool:
    """Whether the kernel would drop a SIGTERM for `pid`.

    PID 1 of a pid namespace gets no signal that it has no handler for (man 7
    pid_namespaces). A signal that PID 1 blocks or ignores by its own choice does not
    count as dropped.
    """
    try:
        text = (proc / str(pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    is_init = fields.get("NSpid", "").split()[-1:] == ["1"]
    masks = ("SigCgt", "SigBlk", "SigIgn")
    return is_init and not any(int(fields.get(m, "0"), 16) & _TERM for m in masks)
