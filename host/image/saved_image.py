# SPDX-License-Identifier: Apache-2.0
"""What an archive says about one image in it, and about its layers."""

from __future__ import annotations

from dataclasses import dataclass

from kata_host.image.config import ImageConfig
from kata_host.image.digest import digest_of


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer in a `FileSource`."""

    path: str
    """The path of its file in the archive."""
    diff_id: str
    """The digest of its tar, uncompressed."""
    digest: str = ""
    """The digest of its file; empty where the format does not say it."""
    size: int | None = None
    """The bytes of its file, None where the format does not say them."""

    @property
    def subject(self) -> str:
        return f"layer {self.diff_id[:19]}"


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image as an archive has it; the layers from the lowest up."""

    names: tuple[str, ...]
    """The references under which the image was saved."""
    config_content: bytes
    config: ImageConfig
    layers: tuple[Layer, ...]

    @property
    def id(self) -> str:
        """The digest of the configuration, as docker has it."""
        return digest_of(self.config_content)
