# SPDX-License-Identifier: Apache-2.0
"""The platform that an image is made for (OCI image-spec, image-index.md)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_ARCHITECTURES: Final = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
}
"""GOARCH and variant of what uname(2) says; other names are the same in both."""


@dataclass(frozen=True, slots=True)
class Platform:
    """`linux/arm64/v8`: names of Go's GOOS and GOARCH."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        names = (self.os, self.architecture, self.variant)
        return "/".join(name for name in names if name)

    def rank(self, offered: Platform) -> int | None:
        """Return how well an image for `offered` fits here: 0 is best, None not at all.

        An image that does not say its variant runs on each. A later variant of
        Arm runs what is made for an earlier one; those of x86-64 are optional.
        """
        if (offered.os, offered.architecture) != (self.os, self.architecture):
            return None
        if offered.variant == self.variant:
            return 0
        if self.architecture == "amd64":
            return 1 if offered.variant == "v1" else None
        if not offered.variant:
            return 1
        if not self.variant or offered.variant > self.variant:
            return None
        return 1 + ord(self.variant[-1]) - ord(offered.variant[-1])


def own_platform() -> Platform:
    """Return the platform of this host, which is that of its guests."""
    machine = os.uname().machine
    return Platform("linux", *_ARCHITECTURES.get(machine, (machine, "")))


def best(wanted: Platform, offered: Sequence[Platform]) -> int | None:
    """Return the index of the platform that fits best, None if none does."""
    ranks = [
        (rank, index)
        for index, platform in enumerate(offered)
        if (rank := wanted.rank(platform)) is not None
    ]
    return min(ranks)[1] if ranks else None
