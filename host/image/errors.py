# SPDX-License-Identifier: Apache-2.0
"""How reading, keeping and finding images fails."""

from __future__ import annotations

from kata_host.errors import NotFound, SandboxError


class ImageError(SandboxError):
    """An image is not what it should be. The message is one line, its object first."""


class ImageNotFound(ImageError, NotFound):
    """The store has no such image."""
