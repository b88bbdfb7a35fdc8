# SPDX-License-Identifier: Apache-2.0
"""Reasons from the logs that crun and runc write."""

from __future__ import annotations

import json

import pytest

from kata_agent.runtime.runtime_log import LIMIT, to_reason


@pytest.mark.parametrize(
    ("message", "file"),
    [
        (r"executable file `/bin/x` not found: No such file or directory", "/bin/x"),
        (r"executable file `x` not found in $PATH: No such file", "x"),
        (r"exec: \"x\": executable file not found in $PATH", "x"),
        (r"exec: \"/bin/x\": stat /bin/x: no such file or directory", "/bin/x"),
    ],
)
def test_a_missing_program_is_reported_as_runtimes_expect(
    message: str, file: str
) -> None:
    log = f'{{"level":"error","msg":"{message}","time":"t"}}\n'
    assert to_reason(log.encode()).startswith(f"the file {file} was not found (")


def test_failures_and_lines_that_are_not_json_are_joined() -> None:
    log = (
        b'{"level":"warning","msg":"careful"}\n{"msg":"one","level":"error"}\n'
        b'\xff plain\n{"msg":"two"}\n[1]\n'
    )
    assert to_reason(log) == "one; \ufffd plain; two"


def test_an_empty_log_gives_no_reason() -> None:
    assert to_reason(b"") == ""


def test_a_message_that_is_a_log_line_itself_is_unwrapped() -> None:
    nested = json.dumps({"msg": json.dumps({"msg": "why", "level": "error"})})
    assert to_reason(nested.encode()) == "why"
    assert to_reason(b'{"msg": "7"}') == "7"


def test_a_long_log_gives_a_short_reason() -> None:
    log = b"x" * 100_000 + b"\n" + json.dumps({"msg": "why"}).encode()
    assert to_reason(log).endswith("x; why")
    assert len(to_reason(log)) == LIMIT
