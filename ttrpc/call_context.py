# SPDX-License-Identifier: Apache-2.0
"""What a handler and an interceptor know about a call besides its messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ttrpc.metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ttrpc.deadline import Deadline
    from ttrpc.service import Method


@dataclass(frozen=True, slots=True)
class PeerCredentials:
    """Who connected to a unix socket (SO_PEERCRED, man 7 unix)."""

    pid: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection."""

    address: str
    """As text, `unix:///run/a.sock` or `vsock://2:1024`; empty if it has none."""
    credentials: PeerCredentials | None = None
    """On unix sockets only."""


class CallContext:
    """One call, as its handler and the interceptors around it see it."""

    __slots__ = (
        "_metadata",
        "_pairs",
        "deadline",
        "method",
        "peer",
        "stream_id",
        "values",
    )

    def __init__(
        self,
        method: Method[Any, Any],
        stream_id: int = 0,
        *,
        deadline: Deadline | None = None,
        peer: Peer | None = None,
        metadata: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.method = method
        self.stream_id = stream_id
        """The stream's id on its connection; 0 on a client that has not sent yet."""
        self.deadline = deadline
        self.peer = peer
        self.values: dict[Any, Any] | None = None
        """Interceptors' own; None until one of them puts a dict here."""
        self._pairs = metadata
        self._metadata: Metadata | None = None

    @property
    def metadata(self) -> Metadata:
        """What came with the request, or on a client, what will be sent with it.

        Most handlers never look, so it is built on first use.
        """
        if self._metadata is None:
            self._metadata = Metadata(self._pairs)
        return self._metadata

    @property
    def pairs(self) -> Iterable[tuple[str, str]]:
        """The metadata to send."""
        return self.metadata if self._metadata is not None or self._pairs else ()
