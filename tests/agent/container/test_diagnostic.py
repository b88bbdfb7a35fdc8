# SPDX-License-Identifier: Apache-2.0
"""Termination messages in real files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.container.diagnostic import TERMINATION_LOG, read_diagnostic
from kata_agent.errors import InvalidArgument
from kata_agent.oci.spec import Spec


def spec_for(source: Path) -> Spec:
    return {
        "annotations": {"io.kubernetes.container.terminationMessagePath": "/log"},
        "mounts": [
            {"destination": "/proc", "type": "proc"},
            {"destination": "/log", "source": str(source)},
        ],
    }


def test_the_message_is_in_the_file_mounted_at_the_path(tmp_path: Path) -> None:
    message = tmp_path / "message"
    message.write_bytes(b"why \xff")
    assert read_diagnostic(TERMINATION_LOG, spec_for(message)) == "why \ufffd"


def test_a_long_message_is_cut(tmp_path: Path) -> None:
    message = tmp_path / "message"
    message.write_text("x" * 5000)
    assert read_diagnostic(TERMINATION_LOG, spec_for(message)) == "x" * 4096


def test_a_container_without_a_message_has_an_empty_one(tmp_path: Path) -> None:
    assert read_diagnostic(TERMINATION_LOG, spec_for(tmp_path / "none")) == ""
    assert read_diagnostic(TERMINATION_LOG, {"mounts": []}) == ""
    other = spec_for(tmp_path)
    other["mounts"][1]["destination"] = "/elsewhere"
    assert read_diagnostic(TERMINATION_LOG, other) == ""


@pytest.mark.timeout(10)
def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to("secret")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo", "."):
        assert read_diagnostic(TERMINATION_LOG, spec_for(tmp_path / name)) == ""


def test_another_type_is_an_error() -> None:
    with pytest.raises(InvalidArgument, match="unknown type 'core'"):
        read_diagnostic("core", {"mounts": []})
