# SPDX-License-Identifier: Apache-2.0
"""The reason of a failure, read from the JSON log of an OCI runtime."""

from __future__ import annotations

import json
import re
from typing import Final

_FAILURES: Final = ("error", "fatal", "panic")
"""Levels of the log lines that give a reason."""
_MISSING_FILE: Final = (
    r"executable file [`'\"]?([^`'\"\s]+)[`'\"]? not found"
    r"|exec: \\?\"([^\"\\]+)\\?\": (?:executable file not found|stat )"
)
"""Compiled by the first failure: that takes 4 ms, which a start would pay."""


LIMIT: Final = 4096
"""Characters of a reason: the last ones, because the cause comes last."""


def to_reason(log: bytes) -> str:
    """Return the messages of all failures in the log, in one line of bounded length."""
    reasons = []
    for line in log.decode(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            reasons.append(line.strip())
            continue
        if isinstance(entry, dict) and entry.get("level", "error") in _FAILURES:
            reasons.append(_innermost(str(entry.get("msg", ""))))
    reason = "; ".join(filter(None, reasons))[-LIMIT:]
    missing = re.search(_MISSING_FILE, reason)
    if missing:
        # Kata's runtimes look for this text to report a missing program.
        return f"the file {missing[1] or missing[2]} was not found ({reason})"
    return reason


def _innermost(message: str) -> str:
    """Unwrap a message that is itself a line of the log, as crun's child writes it."""
    try:
        entry = json.loads(message)
    except ValueError:
        return message.strip()
    inner = entry.get("msg") if isinstance(entry, dict) else None
    return _innermost(inner) if isinstance(inner, str) else message.strip()
