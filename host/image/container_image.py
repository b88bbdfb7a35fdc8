# SPDX-License-Identifier: Apache-2.0
"""An image of the store."""

from __future__ import annotations

from dataclasses import dataclass

from kata_host.image.config import ImageConfig


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """An image that is in the store, and what it says of itself."""

    id: str
    """The digest of its configuration."""
    names: tuple[str, ...]
    config: ImageConfig
    size: int
    """Bytes of the files of all layers."""
    imported: int
    """Seconds since 1970."""

    @property
    def name(self) -> str:
        """A name of the image, or the start of its id."""
        return self.names[0] if self.names else self.id[:19]
