# SPDX-License-Identifier: Apache-2.0
"""What a signal to PID 1 of a namespace does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kata_agent.container.signals import ignores_term, is_namespace_init

TERM = "0000000000004000"
NONE = "0000000000000000"


@pytest.mark.parametrize(
    ("pids", "blocked", "ignored", "caught", "expected"),
    [
        ("77\t1", NONE, NONE, NONE, True),
        ("77\t1", NONE, NONE, TERM, False),
        ("77\t1", TERM, NONE, NONE, False),
        ("77\t1", NONE, TERM, NONE, False),
        ("77\t1", NONE, NONE, "fffffffffffbbfff", True),
        # The kernel kills a process that is not PID 1 of its namespace.
        ("77", NONE, NONE, NONE, False),
        ("77\t5", NONE, NONE, NONE, False),
    ],
)
def test_only_an_init_without_a_handler_ignores_it(
    tmp_path: Path, pids: str, blocked: str, ignored: str, caught: str, expected: bool
) -> None:
    (tmp_path / "77").mkdir()
    (tmp_path / "77/status").write_text(
        f"Name:\ta:b\nNSpid:\t{pids}\nSigBlk:\t{blocked}\nSigIgn:\t{ignored}\n"
        f"SigCgt:\t{caught}\n"
    )
    assert ignores_term(tmp_path, 77) is expected


def test_an_init_that_waits_for_signals_takes_them(tmp_path: Path) -> None:
    # As the kernel has it of tini, whose mask is that of the wait meanwhile.
    (tmp_path / "77").mkdir()
    (tmp_path / "77/status").write_text(
        f"NSpid:\t77\t1\nSigBlk:\t{NONE}\nSigIgn:\t{NONE}\nSigCgt:\t{NONE}\n"
    )
    assert ignores_term(tmp_path, 77)
    (tmp_path / "77/wchan").write_text("do_sigtimedwait.isra.0")
    assert not ignores_term(tmp_path, 77)


def test_the_kernel_names_the_wait() -> None:
    script = "import signal; print(flush=True); signal.sigwait({signal.SIGTERM})"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        wchan = Path(f"/proc/{process.pid}/wchan")
        while "sigtimedwait" not in wchan.read_text():
            assert process.poll() is None
        process.kill()


@pytest.mark.parametrize(("pids", "expected"), [("77\t1", True), ("77\t5", False)])
def test_the_end_of_pid_1_ends_its_namespace(
    tmp_path: Path, pids: str, expected: bool
) -> None:
    (tmp_path / "77").mkdir()
    (tmp_path / "77/status").write_text(f"Name:\ta:b\nNSpid:\t{pids}\n")
    assert is_namespace_init(tmp_path, 77) is expected


def test_a_process_that_has_ended_ignores_nothing(tmp_path: Path) -> None:
    assert not ignores_term(tmp_path, 77)
    assert not is_namespace_init(tmp_path, 77)
