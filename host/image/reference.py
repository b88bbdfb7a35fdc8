# SPDX-License-Identifier: Apache-2.0
"""Names of images: `debian`, `localhost:5000/tools/python:3`, `sha256:...`."""

from __future__ import annotations

import re
from typing import Final

from kata_host.image.errors import ImageError

REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@-]*(?::[A-Za-z0-9._/@-]+)*")
LONGEST: Final = 255
_ID: Final = re.compile(r"(?:sha256:)?([0-9a-f]{4,64})")
_DEFAULTS: Final = ("docker.io/library/", "docker.io/")
_LOCAL: Final = re.compile(r"(?:localhost|127(?:\.[0-9]+){3}|\[::1\])(?::[0-9]+)?")


def check_reference(name: str) -> str:
    """Return `name`. Raises `ImageError` if it cannot name an image."""
    if len(name) > LONGEST or not REFERENCE.fullmatch(name):
        raise ImageError(f"image {name!r:.80}: invalid name")
    return name


def whole_name(name: str) -> str:
    """Return the name as docker shows it: with its tag, which is `latest` if it has
    none, and without the registry `docker.io`, which skopeo writes out."""
    for prefix in _DEFAULTS:
        name = name.removeprefix(prefix)
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def id_start(name: str) -> str | None:
    """Return the digits if `name` may be the start of an id."""
    match = _ID.fullmatch(name)
    return match[1] if match else None


def is_local_registry(name: str) -> bool:
    """Tell whether the registry is on this host, where it needs no TLS (as docker)."""
    return bool(_LOCAL.fullmatch(name.partition("/")[0])) and "/" in name
