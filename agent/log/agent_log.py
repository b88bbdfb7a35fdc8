# SPDX-License-Identifier: Apache-2.0
"""The agent's log: one JSON object a line, in the form Kata's tools read.

    {"msg": "container created", "level": "INFO", "ts": "2024-05-01T12:00:00.000000Z",
     "version": "0.1.0", "subsystem": "container", "pid": "1", "name": "kata-agent",
     "source": "agent", "container_id": "a1"}

Every line goes to stdout, and to whoever reads the log port. To log is to put a line
into bounded memory: a console that nobody reads costs lines, which are counted, and
never time (`kata_agent.log.stream`).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from types import TracebackType
from typing import Any, Final

from kata_agent.log.stream import LogPort, LogStream, StreamWriter
from kata_agent.ports import Ports
from kata_agent.version import VERSION

log = logging.getLogger(__name__)

TRACE: Final = 5
"""The level below debug."""

LEVELS: Final = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}

# The short names of the Rust agent's logger; Kata's log forwarder knows only these.
_SHORT_NAMES: Final = {
    logging.CRITICAL: "CRIT",
    logging.ERROR: "ERRO",
    logging.WARNING: "WARN",
    logging.INFO: "INFO",
    logging.DEBUG: "DEBG",
    TRACE: "TRCE",
}

# What every record has; all else came in by `extra=`.
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

    def add_field(self, name: str, value: str) -> None:
        """Put `name` into every line from now on."""
        self._constants[name] = value

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
                # A reader relies on our own keys: another's is renamed, not lost.
                fields[key if key not in fields else f"event_{key}"] = value
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


class LogStreamHandler(logging.Handler):
    """Hands formatted lines to streams; the handler's own lock is all it waits for."""

    def __init__(self) -> None:
        super().__init__()
        self._streams: tuple[LogStream, ...] = ()

    def add_stream(self, stream: LogStream) -> None:
        self._streams += (stream,)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode() + b"\n"
        except Exception:
            # logging's own way: a traceback on stderr, and the caller goes on.
            self.handleError(record)
            return
        for stream in self._streams:
            stream.put(line)


class AgentLog:
    """The running log: where lines go, and what ends it in order."""

    def __init__(self, level: str, fd: int) -> None:
        self._formatter: Final = JsonFormatter()
        self._handler: Final = LogStreamHandler()
        self._handler.setFormatter(self._formatter)
        self._stdout: Final = LogStream(self._dropped)
        self._writer: Final = StreamWriter(self._stdout, fd)
        self._port: LogPort | None = None
        self._handler.add_stream(self._stdout)
        logging.addLevelName(TRACE, "TRACE")
        root = logging.getLogger()
        root.addHandler(self._handler)
        root.setLevel(LEVELS[level])

    def serve_port(self, ports: Ports, port: int) -> None:
        """Give what is logged from now on to whoever connects to guest port `port`."""
        stream = LogStream(self._dropped)
        self._handler.add_stream(stream)
        self._port = LogPort(stream, ports, port)

    def add_field(self, name: str, value: str) -> None:
        """Put `name` into every line from now on, such as the sandbox's id."""
        self._formatter.add_field(name, value)

    def flush(self, timeout: float) -> None:
        """Wait up to `timeout` seconds until stdout has all lines."""
        self._stdout.flush(timeout)

    def close(self, timeout: float = 1.0) -> None:
        """Write out what is left, and stop."""
        logging.getLogger().removeHandler(self._handler)
        self.flush(timeout)
        self._writer.close()
        if self._port is not None:
            self._port.close()

    def _dropped(self, count: int) -> bytes:
        record = log.makeRecord(
            log.name,
            logging.WARNING,
            __file__,
            0,
            "log lines dropped",
            (),
            None,
            extra={"dropped": count},
        )
        return self._formatter.format(record).encode() + b"\n"


def setup_log(level: str, *, fd: int = 1) -> AgentLog:
    """Send everything that is logged at `level` or above to `fd`.

    What no one catches, in any thread, is logged from now on too.
    """
    agent_log = AgentLog(level, fd)
    # No line names its thread; to look it up would make an object for each that
    # `kata_agent.blocking` has started.
    logging.logThreads = False
    sys.excepthook = log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    return agent_log


def log_uncaught(
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    """Log an exception that nothing has caught."""
    log.critical("uncaught exception", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    error = args.exc_value or args.exc_type()
    log.critical(
        "uncaught exception in a thread",
        exc_info=(args.exc_type, error, args.exc_traceback),
    )


def _timestamp(seconds: float) -> str:
    """RFC 3339 in UTC, to the microsecond that the clock's float holds."""
    microseconds = int(seconds * 1_000_000)
    whole = time.gmtime(microseconds // 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', whole)}.{microseconds % 10**6:06d}Z"


def _subsystem(logger: str) -> str:
    """`kata_agent.storage.block` is `storage`, `ttrpc.aio.server` is `ttrpc`."""
    package, _, rest = logger.partition(".")
    if package == "kata_agent" and rest:
        return rest.partition(".")[0]
    return package if package not in ("kata_agent", "") else "root"
