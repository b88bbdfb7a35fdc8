# SPDX-License-Identifier: Apache-2.0
"""Bounds of what an image may take, because its sizes are what a stranger says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DOCUMENT_SIZE: Final = 8 << 20
"""Bytes of a manifest, an index or a configuration."""
LAYERS: Final = 500
"""Layers of one image; overlayfs takes as many (fs/overlayfs, OVL_MAX_STACK)."""


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """The bounds of one layer."""

    size: int = 64 << 30
    """Bytes, uncompressed, and bytes of all files."""
    entries: int = 2_000_000
    """Files, directories and links."""
    ratio: int = 300
    """Uncompressed bytes for each compressed one, beyond `ratio_start`."""
    ratio_start: int = 256 << 20
    """Uncompressed bytes that any layer may have: zeros compress without end. As many
    may be holes of its files."""
    depth: int = 200
    """Directories on the path of an entry."""
