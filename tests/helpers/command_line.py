# SPDX-License-Identifier: Apache-2.0
"""kata-agent-ctl as its users have it: a program."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

CTL: Final = (sys.executable, "-m", "kata_host.ctl")
PATIENCE: Final = 100.0
"""Seconds that a command may take, in an emulated VM on a busy machine."""

Completed = subprocess.CompletedProcess[str]


def run(
    environment: Mapping[str, str],
    *words: str,
    input: str | None = None,
    **options: Any,
) -> Completed:
    """Run a command to its end; its input is at its end, if there is none."""
    where = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
    settings = {"timeout": PATIENCE, **where, **options}
    return subprocess.run(
        [*CTL, *words], env=environment, capture_output=True, text=True, **settings
    )


@contextlib.contextmanager
def running(
    environment: Mapping[str, str], *words: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a command as if from a shell; end it with the block."""
    with subprocess.Popen(
        # The tests themselves may have been started by nohup, or in the background.
        ["env", "--default-signal", *CTL, *words],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
