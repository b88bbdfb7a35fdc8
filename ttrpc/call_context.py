# SPDX-License-Identifier: Apache-2.0
"""A call's deadline, peer and metadata, for handlers and interceptors."""

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
    """The process that connected to a unix socket (SO_PEERCRED, man 7 unix)."""

    pid: int
    """The process that called connect, as this process's pid namespace has it."""
    uid: int
    """Its effective user id at that time."""
    gid: int
    """Its effective group id at that time."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection."""

    address: str
    """As text, `unix:///run/a.sock` or `vsock://2:1024`; empty if it has none."""
    credentials: PeerCredentials | None = None
    """None except on unix sockets."""


class CallContext:
    """One call, as its handler and its interceptors see it."""

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
        deadline: Deadline | None = None,
        peer: Peer | None = None,
        metadata: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Describe a call; programs do so only to call a handler by themselves."""
        self.method = method
        """The method that is called."""
        self.stream_id = stream_id
        """The id on its connection; 0 on a client, where it is not known yet."""
        self.deadline = deadline
        """None if the call has no deadline."""
        self.peer = peer
        """The other end of the connection."""
        self.values: dict[Any, Any] | None = None
        """For interceptors; None until one of them assigns a dict."""
        self._pairs = metadata
        self._metadata: Metadata | None = None

    def remaining(self) -> float | None:
        """Return the seconds until the deadline; None if the call has none.

        Negative if the deadline has passed. A handler hands its deadline on by
        `deadline=context.deadline` of the calls that it makes.
        """
        return None if self.deadline is None else self.deadline.remaining()

    @property
    def metadata(self) -> Metadata:
        """The metadata that was received with the request, or will be sent with it.

        The metadata object is made on first use, because most handlers do not read it.
        """
        if self._metadata is None:
            self._metadata = Metadata(self._pairs)
        return self._metadata

    @property
    def pairs(self) -> Iterable[tuple[str, str]]:
        """The metadata as pairs to send; empty if there is none."""
        if self._metadata is None and not self._pairs:
            return ()
        return self.metadata.pairs
