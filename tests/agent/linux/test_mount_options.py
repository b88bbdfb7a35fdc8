# SPDX-License-Identifier: Apache-2.0
"""Options as people write them become flags, propagation and data."""

from __future__ import annotations

import pytest

from kata_agent.linux.mount import (
    MS_BIND,
    MS_NOSUID,
    MS_RDONLY,
    MS_REC,
    MS_SHARED,
    MS_SLAVE,
)
from kata_agent.linux.mount_options import MountOptions, parse_options


@pytest.mark.parametrize(
    ("options", "parsed"),
    [
        ([], MountOptions()),
        (["ro", "nosuid"], MountOptions(flags=MS_RDONLY | MS_NOSUID)),
        (["ro", "rw"], MountOptions()),
        (["ro", "nosuid", "defaults"], MountOptions()),
        (["rbind", "rslave"], MountOptions(MS_BIND | MS_REC, MS_SLAVE | MS_REC)),
        (["rshared", "shared"], MountOptions(propagation=MS_SHARED)),
        (
            ["size=64k", "ro", "", "mode=755"],
            MountOptions(MS_RDONLY, 0, "size=64k,mode=755"),
        ),
        # All of Kata's runtimes join the options of huge pages.
        (
            ["ro,nosuid", "pagesize=2097152,size=524288000"],
            MountOptions(MS_RDONLY | MS_NOSUID, 0, "pagesize=2097152,size=524288000"),
        ),
        (["mpol=bind:0,2"], MountOptions(data="mpol=bind:0,2")),
    ],
)
def test_options(options: list[str], parsed: MountOptions) -> None:
    assert parse_options(options) == parsed
