# SPDX-License-Identifier: Apache-2.0
"""What a signal to a container's init would do."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Final

_TERM: Final = 1 << (signal.SIGTERM - 1)


def ignores_term(proc: Path, pid: int) -> bool:
    """Whether the kernel would drop a SIGTERM for `pid`.

    PID 1 of a pid namespace gets no signal that it has no handler for (man 7
    pid_namespaces). A signal that PID 1 blocks or ignores by its own choice does not
    count as dropped. Nor does one while it waits for signals, as tini does: until the
    wait ends, the kernel shows them as not blocked (kernel/signal.c, do_sigtimedwait).
    """
    waits = _waits_for_signals(proc, pid)
    fields = _status(proc, pid)
    if waits or _waits_for_signals(proc, pid):
        return False
    masks = ("SigCgt", "SigBlk", "SigIgn")
    return _is_init(fields) and not any(
        int(fields.get(mask, "0"), 16) & _TERM for mask in masks
    )


def is_namespace_init(proc: Path, pid: int) -> bool:
    """Tell whether `pid` is PID 1 of a pid namespace, whose end ends all others in it.

    The init of a container that shares the sandbox's pid namespace is not.
    """
    return _is_init(_status(proc, pid))


def _waits_for_signals(proc: Path, pid: int) -> bool:
    try:
        return "sigtimedwait" in (proc / str(pid) / "wchan").read_text()
    except OSError:
        # It has ended, or the kernel does not tell (man 5 proc, wchan).
        return False


def _status(proc: Path, pid: int) -> dict[str, str]:
    """Return the fields of `/proc/PID/status`; none for a process that has ended."""
    try:
        text = (proc / str(pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _is_init(fields: dict[str, str]) -> bool:
    return fields.get("NSpid", "").split()[-1:] == ["1"]
