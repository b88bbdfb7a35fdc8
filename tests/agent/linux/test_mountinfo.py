# SPDX-License-Identifier: Apache-2.0
"""Lines of mountinfo, as the kernel writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.linux.mountinfo import Mount, parse_mountinfo, read_mounts
from tests.helpers.zombie import zombie

LINE = (
    r"36 35 98:0 /a\040b /mnt\0112 rw,noatime shared:1 - ext4 /dev/\134root rw,errors=x"
)


def test_a_line_of_the_manual() -> None:
    """Also with the escapes of blank, tab and backslash (man 5 proc)."""
    assert list(parse_mountinfo(LINE)) == [
        Mount(36, 98, 0, "/a b", "/mnt\t2", "ext4", "/dev/\\root", ("rw", "errors=x"))
    ]


def test_the_mounts_of_this_process() -> None:
    mounts = read_mounts(Path("/proc/self/mountinfo"))
    assert "/proc" in [mount.point for mount in mounts if mount.fstype == "proc"]


def test_a_process_that_has_ended_is_no_process() -> None:
    with zombie() as pid:
        with pytest.raises(ProcessLookupError, match=f"/proc/{pid}/mountinfo"):
            read_mounts(Path(f"/proc/{pid}/mountinfo"))
    with pytest.raises(FileNotFoundError):
        read_mounts(Path(f"/proc/{pid}/mountinfo"))


@pytest.mark.parametrize("line", ["", "x", "36 35 98:0 / /mnt rw ext4 /dev/root rw"])
def test_another_line_is_refused(line: str) -> None:
    with pytest.raises(OSError, match="not a mountinfo line"):
        list(parse_mountinfo(f"{LINE}\n{line}\n"))
