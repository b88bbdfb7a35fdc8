# SPDX-License-Identifier: Apache-2.0
"""Pools of huge pages, in a tree of files that stands for sysfs."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import Internal, InvalidArgument
from kata_agent.storage import huge_pages
from kata_agent.storage.huge_pages import HugePages
from kata_agent.system_paths import SystemPaths
from kata_agent.undo import Undo

MIB = 1 << 20


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """The pool of pages of 2 MiB, with one page."""
    directory = tmp_path / "kernel/mm/hugepages/hugepages-2048kB"
    directory.mkdir(parents=True)
    file = directory / "nr_hugepages"
    file.write_text("1\n")
    return file


@pytest.fixture
def pages(tmp_path: Path) -> HugePages:
    return HugePages(SystemPaths(sys=tmp_path))


def test_a_pool_grows_and_goes_back(pool: Path, pages: HugePages) -> None:
    undo = Undo()
    pages.reserve(undo, 2 * MIB, 8 * MIB)
    assert pool.read_text() == "4"
    undo.close()
    assert pool.read_text() == "1"


def test_two_volumes_of_one_size_sum_their_pools(pool: Path, pages: HugePages) -> None:
    first, second = Undo(), Undo()
    pages.reserve(first, 2 * MIB, 8 * MIB)
    pages.reserve(second, 2 * MIB, 4 * MIB)
    assert pool.read_text() == "6"
    first.close()
    assert pool.read_text() == "2"
    second.close()
    assert pool.read_text() == "1"


def test_the_pages_of_another_user_stay(pool: Path, pages: HugePages) -> None:
    undo = Undo()
    pages.reserve(undo, 2 * MIB, 8 * MIB)
    pool.write_text("10\n")
    undo.close()
    assert pool.read_text() == "7"


def test_a_pool_that_is_large_enough_stays_as_it_is(
    pool: Path, pages: HugePages
) -> None:
    pool.write_text("9\n")
    undo = Undo()
    pages.reserve(undo, 2 * MIB, 8 * MIB)
    undo.close()
    assert pool.read_text() == "9\n"


def test_a_kernel_that_gives_fewer_pages_is_an_error_and_gets_them_back(
    pool: Path, pages: HugePages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_less(self: huge_pages._Pool, number: int) -> None:
        self.file.write_text(f"{min(number, 3)}\n")

    monkeypatch.setattr(huge_pages._Pool, "write", give_less)
    undo = Undo()
    with pytest.raises(Internal, match="huge pages: got 3 of 4 pages of 2097152"):
        pages.reserve(undo, 2 * MIB, 8 * MIB)
    undo.close()
    assert pool.read_text() == "1\n"
    # The failed volume does not count.
    pages.reserve(Undo(), 2 * MIB, 6 * MIB)
    assert pool.read_text() == "3\n"


def test_a_page_size_that_the_kernel_lacks_is_named(pages: HugePages) -> None:
    with pytest.raises(InvalidArgument, match="huge pages: no pages of 2097152 bytes"):
        pages.reserve(Undo(), 2 * MIB, 8 * MIB)
