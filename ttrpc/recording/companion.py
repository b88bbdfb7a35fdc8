# SPDX-License-Identifier: Apache-2.0
"""Accompanies a replay: does for it what the recorded client did outside its calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

if TYPE_CHECKING:
    from ttrpc.aio.client import Client
    from ttrpc.service import Method


class Companion:
    """Changes nothing. An API whose calls need surroundings derives a class of it."""

    def __init__(self, client: Client, requests: Sequence[Message]) -> None:
        """Begin a replay.

        Args:
            client: Connected to the server of the replay, for calls of its own.
            requests: All requests of the recording that follow, in their order.
        """
        self.client = client
        self.requests = requests

    async def prepare(
        self, method: Method[Any, Any], request: Message
    ) -> Message | None:
        """Prepare for a call; return the request to send, or None to leave it out."""
        return request

    def succeeded(self, method: Method[Any, Any], request: Message) -> None:
        """Take note of a call that was answered without an error."""

    async def close(self) -> None:
        """End all that was begun."""
