# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.storage.ephemeral import parse_sizes
from kata_agent.storage.group import split_group

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


@pytest.mark.parametrize(
    ("options", "result"),
    [
        ([], ([], None)),
        (["size=1m", "fsgid=7", "mode=755"], (["size=1m", "mode=755"], 7)),
        (["fsgid=7", "fsgid=8"], ([], 8)),
        (["size=1m,fsgid=7,mode=755"], (["size=1m", "mode=755"], 7)),
    ],
)
def test_groups(options: list[str], result: object) -> None:
    assert split_group(options) == result


@pytest.mark.parametrize("text", ["fsgid=", "fsgid=x", "fsgid=-1", "fsgid=²"])
def test_what_is_no_group(text: str) -> None:
    with pytest.raises(InvalidArgument, match="not a group id"):
        split_group([text])
