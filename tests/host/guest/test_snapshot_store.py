# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kata_host.guest.guest import GuestError
from kata_host.guest.snapshot_store import (
    KEPT,
    LOCK,
    RETRY_AFTER,
    SnapshotError,
    SnapshotStore,
    is_sound,
)

STATE = b"state of a machine" * 1000


class Maker:
    """Makes snapshots, and counts them."""

    def __init__(self) -> None:
        self.count = 0
        self.fault: GuestError | None = None

    def save(self, fd: int) -> None:
        self.count += 1
        if self.fault is not None:
            raise self.fault
        os.write(fd, STATE)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def obtain(top: Path, maker: Maker) -> Iterator[Callable[[str], int]]:
    """Opens a snapshot for the test, and makes it first if need be."""
    opened = []

    def open_one(key: str = "k") -> int:
        opened.append(SnapshotStore(top).open(key, maker.save, lambda: False))
        return opened[-1]

    yield open_one
    for fd in opened:
        os.close(fd)


def names(top: Path) -> set[str]:
    return {path.name for path in top.iterdir()} - {LOCK}


def test_a_snapshot_is_made_once_and_is_its_owners_alone(
    obtain: Callable[[str], int], maker: Maker, top: Path
) -> None:
    for _ in range(3):
        fd = obtain("k")
        assert is_sound(fd)
        assert os.read(fd, len(STATE)) == STATE
    assert maker.count == 1
    assert (top / "k").stat().st_mode & 0o777 == 0o600
    assert top.stat().st_mode & 0o777 == 0o700


def test_others_wait_for_the_one_that_makes_it(top: Path) -> None:
    started, may_end = threading.Event(), threading.Event()
    made = []

    def save(fd: int) -> None:
        made.append(fd)
        started.set()
        may_end.wait(30)
        os.write(fd, STATE)

    def start() -> None:
        os.close(SnapshotStore(top).open("k", save, lambda: False))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert started.wait(30)
    assert not names(top), "has a name before it is whole"
    may_end.set()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_who_waits_can_be_given_up(top: Path, maker: Maker) -> None:
    top.mkdir()
    with open(top / LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SnapshotError, match="given up"):
            SnapshotStore(top).open("k", maker.save, lambda: True)
    assert maker.count == 0


@pytest.mark.parametrize("place", [0, len(STATE) // 2, len(STATE) + 5])
def test_a_changed_byte_is_noticed(
    obtain: Callable[[str], int], top: Path, place: int
) -> None:
    obtain("k")
    with open(top / "k", "r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
    assert not is_sound(obtain("k"))


@pytest.mark.parametrize("size", [1, 31, 32, 33, len(STATE)])
def test_a_missing_end_is_noticed(
    obtain: Callable[[str], int], top: Path, size: int
) -> None:
    obtain("k")
    os.truncate(top / "k", size)
    assert not is_sound(obtain("k"))


def test_one_that_is_not_sound_is_made_again(
    obtain: Callable[[str], int], top: Path, maker: Maker
) -> None:
    obtain("k")
    SnapshotStore(top).remove("k")
    assert is_sound(obtain("k"))
    assert maker.count == 2


@pytest.mark.parametrize("mode", [0o640, 0o602, 0o666])
def test_what_others_can_read_or_write_is_not_used(
    obtain: Callable[[str], int], top: Path, mode: int
) -> None:
    obtain("k")
    (top / "k").chmod(mode)
    with pytest.raises(SnapshotError, match="not a file of this user alone"):
        obtain("k")


@pytest.mark.parametrize("kind", ["directory", "fifo", "link"])
def test_what_is_no_file_is_not_used(
    obtain: Callable[[str], int], top: Path, tmp_path: Path, kind: str
) -> None:
    obtain("other")
    if kind == "directory":
        (top / "k").mkdir(0o700)
    elif kind == "fifo":
        os.mkfifo(top / "k", 0o600)
    else:
        (top / "k").symlink_to(top / "other")
    with pytest.raises((SnapshotError, OSError)):
        obtain("k")


def test_one_that_cannot_be_made_is_tried_again_after_a_while(
    obtain: Callable[[str], int], top: Path, maker: Maker
) -> None:
    maker.fault = GuestError("no")
    with pytest.raises(GuestError, match="no"):
        obtain("k")
    with pytest.raises(SnapshotError, match="of no use a moment ago"):
        obtain("k")
    assert maker.count == 1
    status = (top / "k").stat()
    os.utime(top / "k", (0, status.st_mtime - RETRY_AFTER))
    maker.fault = None
    assert is_sound(obtain("k"))


def test_one_that_is_of_no_use_is_not_tried_at_once(
    obtain: Callable[[str], int], top: Path
) -> None:
    obtain("k")
    for _ in range(2):
        SnapshotStore(top).refuse("k")
        with pytest.raises(SnapshotError, match="of no use a moment ago"):
            obtain("k")


def test_a_start_that_is_given_up_says_nothing_of_the_snapshot(
    top: Path, maker: Maker
) -> None:
    maker.fault = GuestError("given up")
    with pytest.raises(GuestError, match="given up"):
        SnapshotStore(top).open("k", maker.save, lambda: True)
    assert not names(top)


def test_the_longest_unused_go_when_there_are_many(
    obtain: Callable[[str], int], top: Path
) -> None:
    for number in range(KEPT):
        obtain(f"k{number}")
        os.utime(top / f"k{number}", (number, number))
    obtain("k0")  # Which is used again.
    obtain("new")
    assert names(top) == {"new", "k0", *(f"k{n}" for n in range(2, KEPT))}
