# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_agent.errors import Internal, InvalidArgument
from kata_agent.storage import ephemeral
from kata_agent.storage.ephemeral import parse_sizes, reserve
from kata_agent.storage.group import split_group
from kata_agent.system_paths import SystemPaths

MIB = 1 << 20


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        (["pagesize=2097152", "size=8388608"], (2 * MIB, 8 * MIB)),
        (["size=8M", "rw", "pagesize=2M", "x=y"], (2 * MIB, 8 * MIB)),
        (["pagesize=1g", "size=2G"], (1 << 30, 2 << 30)),
        (["pagesize=4k", "size=8K"], (4096, 8192)),
        (["size=1", "pagesize=4k", "size=8K"], (4096, 8192)),
    ],
)
def test_sizes_are_bytes_or_have_a_unit(
    options: list[str], sizes: tuple[int, int]
) -> None:
    assert parse_sizes(options) == sizes


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["pagesize=2M"],
        ["size=2M"],
        ["pagesize=0", "size=2M"],
        ["pagesize=2M", "size=0"],
        ["pagesize=-2", "size=2M"],
        ["pagesize=2T", "size=2M"],
        ["pagesize", "size=2M"],
    ],
)
def test_huge_pages_need_both_sizes(options: list[str]) -> None:
    with pytest.raises(InvalidArgument, match="huge pages: no (pagesize|size) in"):
        parse_sizes(options)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    directory = tmp_path / "kernel/mm/hugepages/hugepages-2048kB"
    directory.mkdir(parents=True)
    file = directory / "nr_hugepages"
    file.write_text("1\n")
    return file


def test_a_pool_grows_and_goes_back(pool: Path, tmp_path: Path) -> None:
    paths = SystemPaths(sys=tmp_path)
    undo = reserve(paths, 2 * MIB, 8 * MIB)
    assert pool.read_text() == "4"
    undo.close()
    assert pool.read_text() == "1"


def test_a_pool_never_shrinks(pool: Path, tmp_path: Path) -> None:
    pool.write_text("9\n")
    reserve(SystemPaths(sys=tmp_path), 2 * MIB, 8 * MIB).close()
    assert pool.read_text() == "9\n"


def test_a_kernel_that_gives_fewer_pages_is_an_error_and_gets_them_back(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_less(file: Path, pages: int) -> None:
        file.write_text(f"{min(pages, 3)}\n")

    monkeypatch.setattr(ephemeral, "_set_pool", give_less)
    with pytest.raises(Internal, match="huge pages: got 3 of 4 pages of 2097152"):
        reserve(SystemPaths(sys=tmp_path), 2 * MIB, 8 * MIB)
    assert pool.read_text() == "1\n"


def test_a_page_size_that_the_kernel_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="huge pages: no pages of 2097152 bytes"):
        reserve(SystemPaths(sys=tmp_path), 2 * MIB, 8 * MIB)


@pytest.mark.parametrize(
    ("options", "result"),
    [
        ([], ([], None)),
        (["size=1m", "fsgid=7", "mode=755"], (["size=1m", "mode=755"], 7)),
        (["fsgid=7", "fsgid=8"], ([], 8)),
    ],
)
def test_groups(options: list[str], result: object) -> None:
    assert split_group(options) == result


@pytest.mark.parametrize("text", ["fsgid=", "fsgid=x", "fsgid=-1", "fsgid=²"])
def test_what_is_no_group(text: str) -> None:
    with pytest.raises(InvalidArgument, match="not a group id"):
        split_group([text])
