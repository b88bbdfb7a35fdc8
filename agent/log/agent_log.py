# SPDX-License-Identifier: Apache-2.0
"""The running log: set up once, closed when the agent ends."""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType
from typing import Final

from kata_agent.log.json_formatter import TRACE, JsonFormatter
from kata_agent.log.log_port import LogPort
from kata_agent.log.log_stream import LogStream
from kata_agent.log.log_stream_handler import LogStreamHandler
from kata_agent.log.stream_writer import StreamWriter
from kata_agent.ports.ports import Ports

log = logging.getLogger(__name__)

LEVELS: Final = {
    "critical": logging.CRITICAL,
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}
"""The values of `Config.log_level`."""


class AgentLog:
    """Sends the lines to stdout and to the log port."""

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
        """Give lines that are logged from now on to readers of guest port `port`."""
        stream = LogStream(self._dropped)
        self._handler.add_stream(stream)
        self._port = LogPort(stream, ports, port)

    def close(self, timeout: float = 1.0) -> None:
        """Wait up to `timeout` seconds until stdout has all lines, and stop."""
        logging.getLogger().removeHandler(self._handler)
        self._stdout.flush(timeout)
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
    """Send all lines of `level`, a key of `LEVELS`, or above to the descriptor `fd`.

    Exceptions that nothing catches, in any thread, are logged from now on too.
    """
    agent_log = AgentLog(level, fd)
    # No line names its thread, and a look-up would make an object for each thread that
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
