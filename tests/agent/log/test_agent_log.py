# SPDX-License-Identifier: Apache-2.0
"""The log's lines, and the agent's own way of setting it up."""

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

from kata_agent.log.agent_log import TRACE, JsonFormatter, setup_log
from kata_agent.ports import UnixPorts
from kata_agent.version import VERSION


def format_line(name: str = "kata_agent.container", **record: Any) -> dict[str, Any]:
    made = logging.makeLogRecord({"name": name, "levelno": logging.INFO, **record})
    line = JsonFormatter().format(made)
    assert "\n" not in line
    assert line.isascii()
    fields: dict[str, Any] = json.loads(line)
    return fields


def test_the_fields_that_kata_tools_read() -> None:
    fields = format_line(msg="container %s", args=("a1",), created=1714564800.25)
    assert fields == {
        "msg": "container a1",
        "level": "INFO",
        "ts": "2024-05-01T12:00:00.250000Z",
        "subsystem": "container",
        "version": VERSION,
        "pid": str(os.getpid()),
        "name": "kata-agent",
        "source": "agent",
    }


@pytest.mark.parametrize(
    ("level", "short"),
    [
        (logging.CRITICAL, "CRIT"),
        (logging.ERROR, "ERRO"),
        (logging.WARNING, "WARN"),
        (logging.INFO, "INFO"),
        (logging.DEBUG, "DEBG"),
        (TRACE, "TRCE"),
    ],
)
def test_the_short_names_of_the_levels(level: int, short: str) -> None:
    assert format_line(levelno=level)["level"] == short


@pytest.mark.parametrize(
    ("logger", "subsystem"),
    [
        ("kata_agent.storage.block", "storage"),
        ("kata_agent", "root"),
        ("root", "root"),
        ("ttrpc.aio.server", "ttrpc"),
        ("asyncio", "asyncio"),
    ],
)
def test_the_subsystem_is_the_package(logger: str, subsystem: str) -> None:
    assert format_line(logger)["subsystem"] == subsystem


def test_extra_fields() -> None:
    fields = format_line(container_id="a1", subsystem="udev", path=Path("/x"), n=3)
    assert fields["container_id"] == "a1"
    assert fields["subsystem"] == "udev"
    assert fields["path"] == "/x"
    assert fields["n"] == 3


def test_an_extra_field_cannot_replace_one_of_ours() -> None:
    fields = format_line(pid=77, level="x", ts=0)
    assert fields["pid"] == str(os.getpid())
    assert (fields["level"], fields["event_level"]) == ("INFO", "x")
    assert fields["event_pid"] == 77


def test_what_is_not_text_stays_one_line() -> None:
    assert format_line(msg="a\nb\udcff\x00")["msg"] == "a\nb\udcff\x00"


def test_an_exception_is_a_field() -> None:
    try:
        raise ValueError("no such thing")
    except ValueError:
        fields = format_line(msg="failed", exc_info=sys.exc_info())
    assert fields["exception"].endswith("ValueError: no such thing")


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
        """End the log and return what it wrote."""
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

    def test_a_field_for_every_line(self) -> None:
        captured = Captured("info")
        captured.log.add_field("sandbox", "s1")
        logging.getLogger("kata_agent.x").info("x")
        (line,) = captured.lines()
        assert line["sandbox"] == "s1"

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

    def test_lost_lines_are_told(self) -> None:
        captured = Captured("info")
        logger = logging.getLogger("kata_agent.x")
        # More than the pipe and the stream hold, while nobody reads.
        for _ in range(4000):
            logger.info("x" * 200)
        with ThreadPoolExecutor() as pool:
            reading = pool.submit(captured.read)
            captured.close()
            lines = reading.result()
        told = [line for line in lines if line["msg"] == "log lines dropped"]
        assert {line["level"] for line in told} == {"WARN"}
        kept = len(lines) - len(told)
        assert kept + sum(line["dropped"] for line in told) == 4000

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
