# SPDX-License-Identifier: Apache-2.0
"""The address of a collector."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from ttrpc.address import PATH_MAX

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
        try:
            return cls._parse(url)
        except ValueError:
            raise ValueError(
                f"invalid collector {url!r}, use http://HOST:PORT or unix:///PATH"
            ) from None

    @classmethod
    def _parse(cls, url: str) -> Self:
        parts = urlsplit(url)
        if parts.scheme == "unix" and parts.path and not parts.netloc:
            if len(os.fsencode(parts.path)) > PATH_MAX:
                raise ValueError("longer than sun_path")
            return cls("localhost", 0, path=parts.path)
        if parts.scheme != "http" or not parts.hostname or parts.query:
            raise ValueError("neither of the two")
        # The request's head is ASCII, and a name has labels of 1 to 63 bytes.
        if not url.isascii() or " " in url:
            raise ValueError("not what a request can hold")
        parts.hostname.encode("idna")
        port = DEFAULT_PORT if parts.port is None else parts.port
        if not port:
            raise ValueError("port 0")
        return cls(parts.hostname, port, prefix=parts.path.rstrip("/"))

    def __str__(self) -> str:
        return f"unix://{self.path}" if self.path else f"{self.host}:{self.port}"
