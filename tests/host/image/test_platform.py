# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

import pytest

from kata_host.image.platform import Platform, best, own_platform

AMD = Platform("linux", "amd64")
ARM = Platform("linux", "arm64", "v8")
ARM7 = Platform("linux", "arm", "v7")


@pytest.mark.parametrize(
    ("wanted", "offered", "chosen"),
    [
        (AMD, [ARM, AMD], 1),
        (AMD, [Platform("windows", "amd64"), ARM], None),
        (AMD, [Platform("linux", "amd64", "v3"), AMD], 1),
        (AMD, [Platform("linux", "amd64", "v3")], None),
        (AMD, [Platform("linux", "amd64", "v1")], 0),
        (ARM, [Platform("linux", "arm64")], 0),
        (ARM7, [Platform("linux", "arm", "v5"), Platform("linux", "arm", "v6")], 1),
        (Platform("linux", "arm", "v6"), [ARM7], None),
        (AMD, [], None),
        (AMD, [Platform("unknown", "unknown"), AMD, AMD], 1),
    ],
)
def test_the_platform_that_fits_best_is_chosen(
    wanted: Platform, offered: list[Platform], chosen: int | None
) -> None:
    assert best(wanted, offered) == chosen


def test_the_platform_is_that_of_the_host() -> None:
    assert own_platform().os == "linux"
    if os.uname().machine == "x86_64":
        assert str(own_platform()) == "linux/amd64"
    assert str(ARM) == "linux/arm64/v8"
