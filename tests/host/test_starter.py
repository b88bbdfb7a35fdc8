# SPDX-License-Identifier: Apache-2.0
"""What a program of ours keeps of its starter; tests/e2e/test_starter.py has guests."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from kata_host.child import PACKAGES

SET = """
import os, signal, sys
sys.path.insert(0, {packages!r})
os.umask(0o077)
for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])
for fd in {closed}:
    os.close(fd)
os.execv(sys.executable, [sys.executable, "-P", "-c", {script!r}, {packages!r}])
"""
SEEN = """
import json, os, signal, sys
sys.path.insert(0, sys.argv[1])
from kata_host import starter
starter.{function}()
report = {{
    "umask": os.umask(0),
    "cwd": os.getcwd(),
    "ignored": sorted(
        number for number in signal.valid_signals()
        if signal.getsignal(number) is signal.SIG_IGN
    ),
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "streams": [os.readlink(f"/proc/self/fd/{{fd}}") for fd in range(3)],
    "files": [getattr(sys, name).fileno() for name in ("stdin", "stdout", "stderr")],
}}
print("never seen where it is closed")
with open({path!r}, "w") as file:
    json.dump(report, file)
"""


def seen(tmp_path: str, function: str, closed: str = "()") -> dict[str, object]:
    path = f"{tmp_path}/report"
    script = SEEN.format(function=function, path=path)
    program = SET.format(packages=str(PACKAGES), closed=closed, script=script)
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    with open(path) as file:
        report: dict[str, object] = json.load(file)
    return report


def test_umask_directory_and_signals_are_those_of_a_new_machine(tmp_path: str) -> None:
    report = seen(tmp_path, "forget_starter")
    assert report["umask"] == 0o022
    assert report["cwd"] == "/"
    # SIGPIPE and SIGXFSZ, which Python itself ignores.
    assert report["ignored"] == [13, 25]
    assert report["blocked"] == []


def test_another_program_gets_every_signal_by_default(tmp_path: str) -> None:
    assert seen(tmp_path, "default_all_signals")["ignored"] == []


@pytest.mark.parametrize("closed", ["(0,)", "(1,)", "(2,)", "(0, 1, 2)"])
def test_closed_streams_are_open_afterwards(tmp_path: str, closed: str) -> None:
    report = seen(tmp_path, "open_standard_streams", closed)
    assert report["files"] == [0, 1, 2]
    streams = report["streams"]
    assert isinstance(streams, list)
    for fd in eval(closed):
        assert streams[fd] == "/dev/null"
