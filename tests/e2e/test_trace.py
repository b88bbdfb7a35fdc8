# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl run --trace`: a tree of durations beside the command's output."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.conftest import Ctl

DURATION = re.compile(r"\s+\d+(\.\d+)? (µs|ms|s)\b")


def test_the_trace_is_a_tree_with_durations(ctl: Ctl) -> None:
    ran = ctl("run", "--trace", "--", "sh", "-c", "echo out; exit 3")
    assert (ran.stdout, ran.returncode) == ("out\n", 3)
    lines = ran.stderr.splitlines()
    assert all(DURATION.search(line) for line in lines)
    top, *rest = (DURATION.split(line)[0].rstrip() for line in lines)
    assert top == "kata-agent-ctl run"
    assert all(line.startswith(("├─ ", "└─ ", "│  ", "   ")) for line in rest)
    names = [line.lstrip("├─└│ ").split()[0] for line in rest]
    calls = [name.rpartition("/")[2] for name in names if name.startswith("grpc.")]
    assert calls[:3] == ["CreateSandbox", "CreateContainer", "StartContainer"]
    assert calls[-3:] == ["WaitProcess", "RemoveContainer", "DestroySandbox"]
    assert {"agent.boot", "storage.add", "process.create"} <= set(names)


def test_a_failed_run_shows_its_trace_too(ctl: Ctl) -> None:
    ran = ctl("run", "--trace", "--", "/no/such/program")
    assert ran.returncode == 127
    assert "kata-agent-ctl run" in ran.stderr
    assert "/no/such/program" in ran.stderr


def test_a_guest_that_runs_already_cannot_be_traced(ctl: Ctl) -> None:
    ran = ctl("run", "--trace", "--guest", "unix:///x", "--", "true")
    assert ran.returncode == 125
    assert ran.stderr == "kata-agent-ctl: --trace: needs a guest of its own\n"


def test_the_trace_is_written_as_a_page_too(ctl: Ctl, tmp_path: Path) -> None:
    page = tmp_path / "trace.html"
    ran = ctl("run", "--trace", "--html", str(page), "--", "true")
    assert ran.returncode == 0
    assert ran.stderr.startswith("kata-agent-ctl run ")
    text = page.read_text()
    assert "kata-agent-ctl run" in text
    assert "grpc.AgentService/CreateContainer" in text


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--html", "/x/y"), "--html: needs --trace"),
        (("--trace", "--html", "/x/y"), "/x/y: No such file or directory"),
    ],
)
def test_a_page_that_cannot_be_written_is_told_before_the_run(
    ctl: Ctl, options: tuple[str, ...], error: str
) -> None:
    ran = ctl("run", *options, "--", "echo", "out")
    assert (ran.returncode, ran.stdout) == (125, "")
    assert ran.stderr == f"kata-agent-ctl: {error}\n"
