# SPDX-License-Identifier: Apache-2.0
"""The running log: its level, its port, its end, and uncaught exceptions."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kata_agent.log.agent_log import setup_log
from kata_agent.ports.unix_ports import UnixPorts


class Captured:
    """A log that writes to a pipe."""

    def __init__(self, level: str) -> None:
        self.source, self._sink = os.pipe()
        self.log = setup_log(level, fd=self._sink)

    def close(self) -> None:
        self.log.close(timeout=20)
        os.close(self._sink)

    def read(self) -> list[dict[str, Any]]:
        with open(self.source) as file:
            return [json.loads(line) for line in file]

    def lines(self) -> list[dict[str, Any]]:
        """End the log and return the lines that it wrote."""
        self.close()
        return self.read()


@pytest.fixture
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hooks = sys.excepthook, threading.excepthook
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook = hooks


@pytest.mark.usefixtures("root_logger")
class TestSetup:
    def test_the_level(self) -> None:
        captured = Captured("warning")
        logging.getLogger("kata_agent.x").info("quiet")
        logging.getLogger("kata_agent.x").warning("loud")
        assert [line["msg"] for line in captured.lines()] == ["loud"]

    def test_uncaught_exceptions(self) -> None:
        captured = Captured("info")

        def fail() -> None:
            raise RuntimeError("in a thread")

        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        error = RuntimeError("in the main thread")
        sys.excepthook(RuntimeError, error, None)
        first, second = captured.lines()
        assert first["level"] == second["level"] == "CRIT"
        assert first["exception"].endswith("RuntimeError: in a thread")
        assert second["exception"].endswith("RuntimeError: in the main thread")

    def test_lost_lines_are_counted(self) -> None:
        captured = Captured("info")
        logger = logging.getLogger("kata_agent.x")
        # More than the pipe and the stream hold, while no reader takes any.
        for _ in range(4000):
            logger.info("x" * 200)
        with ThreadPoolExecutor() as pool:
            reading = pool.submit(captured.read)
            captured.close()
            lines = reading.result()
        counted = [line for line in lines if line["msg"] == "log lines dropped"]
        assert {line["level"] for line in counted} == {"WARN"}
        kept = len(lines) - len(counted)
        assert kept + sum(line["dropped"] for line in counted) == 4000

    def test_the_log_port(self, tmp_path: Path) -> None:
        captured = Captured("info")
        captured.log.serve_port(UnixPorts(tmp_path / "g"), 1025)
        logging.getLogger("kata_agent.x").info("hello")
        with socket.socket(socket.AF_UNIX) as reader:
            reader.settimeout(20)
            while True:
                try:
                    reader.connect(os.fspath(tmp_path / "g.d" / "1025"))
                    break
                except (FileNotFoundError, ConnectionRefusedError):
                    os.sched_yield()
            with reader.makefile() as file:
                assert json.loads(file.readline())["msg"] == "hello"
        assert [line["msg"] for line in captured.lines()] == ["hello"]
