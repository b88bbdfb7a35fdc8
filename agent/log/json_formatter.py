# SPDX-License-Identifier: Apache-2.0
"""A line of the log: one JSON object, in the form that Kata's tools read.

{"msg": "container created", "level": "INFO", "ts": "2024-05-01T12:00:00.000000Z",
 "version": "0.1.0", "subsystem": "container", "pid": "1", "name": "kata-agent",
 "source": "agent", "container_id": "a1"}
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import Any, Final

from kata_agent.excerpt import excerpt
from kata_agent.version import VERSION

TRACE: Final = 5
"""The level below debug."""
LINE_LIMIT: Final = 16 << 10
"""Characters of a line, above which its values are cut."""
VALUE_LIMIT: Final = 1024
"""Characters of a value in such a line."""

# The short names of the Rust agent's logger; Kata's log forwarder knows only these.
_SHORT_NAMES: Final = {
    logging.CRITICAL: "CRIT",
    logging.ERROR: "ERRO",
    logging.WARNING: "WARN",
    logging.INFO: "INFO",
    logging.DEBUG: "DEBG",
    TRACE: "TRCE",
}

# Attributes of every record; all others come from `extra=`.
_RECORD_ATTRIBUTES: Final = frozenset(
    vars(logging.LogRecord("", 0, "", 0, "", None, None))
) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, its `extra=` as further keys."""

    def __init__(self) -> None:
        super().__init__()
        self._constants = {
            "version": VERSION,
            "pid": str(os.getpid()),
            "name": "kata-agent",
            "source": "agent",
        }

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "msg": record.getMessage(),
            "level": _SHORT_NAMES.get(record.levelno, "INFO"),
            "ts": _timestamp(record.created),
            "subsystem": _subsystem(record.name),
        }
        fields |= self._constants
        for key, value in vars(record).items():
            if key == "subsystem":
                fields[key] = value
            elif key not in _RECORD_ATTRIBUTES:
                # Readers rely on the keys above: another of the same name is renamed.
                fields[key if key not in fields else f"event_{key}"] = value
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        line = json.dumps(fields, default=str)
        if len(line) > LINE_LIMIT:
            short = {key: _shortened(value) for key, value in fields.items()}
            line = json.dumps(short)
        return line


def _shortened(value: Any) -> Any:
    if isinstance(value, int | float | None):
        return value
    return excerpt(value if isinstance(value, str) else str(value), VALUE_LIMIT)


def _timestamp(seconds: float) -> str:
    """Return the time as RFC 3339 in UTC, to the microsecond that a float holds."""
    microseconds = int(seconds * 1_000_000)
    whole = time.gmtime(microseconds // 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', whole)}.{microseconds % 10**6:06d}Z"


def _subsystem(logger: str) -> str:
    """Return the part of the program that a logger belongs to.

    `kata_agent.storage.block` belongs to `storage`, `ttrpc.aio.server` to `ttrpc`.
    """
    package, _, rest = logger.partition(".")
    if package == "kata_agent" and rest:
        return rest.partition(".")[0]
    return package if package not in ("kata_agent", "") else "root"
