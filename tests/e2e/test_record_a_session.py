# SPDX-License-Identifier: Apache-2.0
"""A session with a guest is recorded without its secrets, and plays in another."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from kata_host.guest.local_guest import LocalGuest
from tests.helpers.namespace import require_root
from tests.helpers.source_tree import ROOT

pytestmark = pytest.mark.root

TTRPC: Final = (sys.executable, "-m", "ttrpc")
API: Final = "--api=kata_host.recording.api:API"


def record(guest: LocalGuest, tap: str, file: Path, *command: str, stdin: str) -> None:
    """Run a command of `kata-agent-ctl` through a tap before a guest."""
    arguments = [*TTRPC, "tap", tap, guest.address, str(file), API]
    with subprocess.Popen(
        arguments, cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as tapping:
        try:
            assert tapping.stderr is not None
            assert tapping.stderr.readline().startswith("tap: listening")
            ctl = [sys.executable, "-m", "kata_host.ctl", *command]
            done = subprocess.run(
                ctl, cwd=ROOT, input=stdin, text=True, capture_output=True
            )
        finally:
            tapping.send_signal(signal.SIGTERM)
        assert tapping.wait(30) == 0
    assert (done.returncode, done.stdout) == (3, "typed\n"), done.stderr


def test_a_recorded_run_holds_no_secret_and_plays_again(tmp_path: Path) -> None:
    require_root()
    file = tmp_path / "session.jsonl"
    tap = f"hvsock://{tmp_path}/tap.sock:1024"
    with LocalGuest() as guest:
        record(
            guest,
            tap,
            file,
            *("run", "--guest", tap, "--env=TOKEN=hidden", "-i", "--"),
            *("sh", "-c", "read line; echo $line; exit 3"),
            stdin="typed\n",
        )
    text = file.read_text()
    assert "TOKEN=redacted" in text
    for secret in ("hidden", "dHlwZWQK"):
        assert secret not in text
    with LocalGuest() as guest:
        played = subprocess.run(
            [*TTRPC, "replay", "--gap=0.05", API, str(file), guest.address],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    assert ", 0 differences that matter" in played.stdout, played.stdout
    assert played.returncode == 0
