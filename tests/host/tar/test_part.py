# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kata_host.tar.part import Part, part_name, sweep

HOLDER = """
import os, signal, sys
from pathlib import Path
from kata_host.tar.part import Part
part = Part(Path(sys.argv[1])).make()
(part.path / "copy").write_text("half")
print(part.path, flush=True)
signal.pause()
"""


def test_a_part_of_the_living_stays_and_that_of_the_dead_goes(tmp_path: Path) -> None:
    other = tmp_path / ".kata-of-a-user"
    other.mkdir()
    (tmp_path / part_name()).write_text("a file that was not whole")
    command = [sys.executable, "-P", "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        path = Path(holder.stdout.readline().strip())
        try:
            sweep(tmp_path)
            assert set(tmp_path.iterdir()) == {other, path}
        finally:
            holder.send_signal(signal.SIGKILL)
    part = Part(tmp_path).make()
    assert set(tmp_path.iterdir()) == {other, part.path}
    part.remove()
    assert os.listdir(tmp_path) == [other.name]


def test_one_that_cannot_be_locked_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("kata_host.tar.part._lock", full)
    part = Part(tmp_path)
    with pytest.raises(OSError, match="Too many open files"):
        part.make()
    part.remove()
    assert os.listdir(tmp_path) == []
