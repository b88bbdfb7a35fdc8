# SPDX-License-Identifier: Apache-2.0
"""Loop devices: disks whose content is a file (man 4 loop)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

LOOP_SET_FD: Final = 0x4C00
LOOP_CLR_FD: Final = 0x4C01
LOOP_SET_CAPACITY: Final = 0x4C07
LOOP_CTL_GET_FREE: Final = 0x4C82
CONTROL: Final = Path("/dev/loop-control")


def require_loop_devices() -> None:
    """Skip without loop devices; in CI that is a failure."""
    if CONTROL.exists():
        return
    if os.environ.get("CI"):
        pytest.fail("needs loop devices")
    pytest.skip("needs loop devices")


@contextlib.contextmanager
def loop_device(image: Path, size: int) -> Iterator[tuple[int, str]]:
    """A loop device of the new file `image` of `size` bytes; its descriptor and path.

    The device is freed at the end, or when its last user, such as a mount, has gone.
    """
    image.touch()
    os.truncate(image, size)
    file = os.open(image, os.O_RDWR)
    try:
        device, name = _take(file)
        try:
            yield device, name
        finally:
            fcntl.ioctl(device, LOOP_CLR_FD)
            os.close(device)
    finally:
        os.close(file)


def _take(file: int) -> tuple[int, str]:
    control = os.open(CONTROL, os.O_RDWR)
    try:
        while True:
            name = f"/dev/loop{fcntl.ioctl(control, LOOP_CTL_GET_FREE)}"
            device = os.open(name, os.O_RDWR)
            try:
                fcntl.ioctl(device, LOOP_SET_FD, file)
            except OSError as error:
                os.close(device)
                # Another process has taken it meanwhile.
                if error.errno != errno.EBUSY:
                    raise
            else:
                return device, name
    finally:
        os.close(control)
