# SPDX-License-Identifier: Apache-2.0
"""The address of a collector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

DEFAULT_PORT: Final = 4318
"""OTLP over HTTP."""


@dataclass(frozen=True, slots=True)
class CollectorAddress:
    """Where a collector listens: a TCP port or a unix socket."""

    host: str
    port: int
    path: str = ""
    """The path of the unix socket, used in place of `host` and `port`."""
    prefix: str = ""
    """The path before `/v1/traces`."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `http://host[:port][/prefix]` or `unix:///path`. Raises `ValueError`."""
        parts = urlsplit(url)
        if parts.scheme == "unix" and parts.path and not parts.netloc:
            return cls("localhost", 0, path=parts.path)
        if parts.scheme != "http" or not parts.hostname or parts.query:
            raise ValueError(
                f"invalid collector {url!r}, use http://HOST:PORT or unix:///PATH"
            )
        port = parts.port or DEFAULT_PORT
        return cls(parts.hostname, port, prefix=parts.path.rstrip("/"))

    def __str__(self) -> str:
        return f"unix://{self.path}" if self.path else f"{self.host}:{self.port}"
