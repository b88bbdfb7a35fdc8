# SPDX-License-Identifier: Apache-2.0
"""The lines of the log, as Kata's tools read them."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from kata_agent.log.json_formatter import LINE_LIMIT, TRACE, JsonFormatter
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


def test_a_message_with_line_breaks_stays_one_line() -> None:
    assert format_line(msg="a\nb\udcff\x00")["msg"] == "a\nb\udcff\x00"


def test_an_exception_is_a_field() -> None:
    try:
        raise ValueError("no such thing")
    except ValueError:
        fields = format_line(msg="failed", exc_info=sys.exc_info())
    assert fields["exception"].endswith("ValueError: no such thing")


def test_a_long_line_has_its_values_cut() -> None:
    values = ["x" * (1 << 20)]
    fields = format_line(msg="m", error=values[0], limits=values, count=7)
    assert len(json.dumps(fields)) < LINE_LIMIT
    assert fields["error"].startswith("xxx")
    assert "of 1048576 characters" in fields["error"]
    assert (fields["msg"], fields["count"]) == ("m", 7)


def test_control_characters_are_escaped() -> None:
    fields = {"name": "kata_agent", "msg": "m", "error": "a\nb\x1b\x7f\u2028"}
    record = logging.makeLogRecord(fields)
    line = JsonFormatter().format(record)
    assert line.isascii()
    assert r"a\nb\u001b" in line
