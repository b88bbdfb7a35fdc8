# SPDX-License-Identifier: Apache-2.0
"""Plays a recording against a server and compares the answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from ttrpc.aio.client import Client
from ttrpc.codes import Code
from ttrpc.errors import StatusError, TtrpcError
from ttrpc.recording.api import Api, KnownMethod, find_method
from ttrpc.recording.companion import Companion
from ttrpc.recording.comparison import Difference, compare_messages
from ttrpc.recording.entry import Entry, Kind, to_message
from ttrpc.recording.played_call import PlayedCall
from ttrpc.service import Cardinality, Method

CONNECT_TIMEOUT: Final = 10.0
"""Seconds to try to reach the server at first."""
SHORTEST_GAP: Final = 0.005
"""Seconds between two calls of a recording that are kept in a replay."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of a replay, in seconds."""

    longest_gap: float
    """Gaps between calls are kept up to this: programs need time between two calls."""
    patience: float
    """A recorded answer must come within this, after it would be due."""


@dataclass(slots=True)
class Tally:
    """The calls of a replay, counted."""

    played: int = 0
    left_out: int = 0
    """Calls that the companion makes in its own way."""
    unrecorded: int = 0
    """Calls whose answer is not in the recording."""
    differences: int = 0
    """Only those that matter."""


class Replay:
    """One replay of a recording.

    Calls are made in the recorded order. A call waits for the answers that the client
    had received before it made the call.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        address: str,
        apis: Sequence[Api],
        *,
        pace: Pace,
        as_sent: bool,
        report: Callable[[Difference], None],
    ) -> None:
        """Prepare a replay.

        Args:
            as_sent: Without the companions of the APIs.
            report: Takes each difference when it is found.
        """
        self._entries = entries
        self._address = address
        self._apis = apis
        self._pace = pace
        self._as_sent = as_sent
        self._report = report
        self._answered = {
            (entry.connection, entry.stream)
            for entry in entries
            if entry.kind in (Kind.ANSWER, Kind.ERROR)
            or (entry.kind is Kind.CLOSE and not entry.is_up)
        }
        self._clients: dict[int, Client] = {}
        self._companions: dict[str, Companion] = {}
        self._calls: dict[tuple[int, int], PlayedCall] = {}
        self.tally = Tally()

    async def run(self) -> None:
        """Play the whole recording.

        Raises:
            Closed: nobody listens at the address.
            ValueError: a request in the recording does not fit its type.
        """
        before = self._entries[0].at if self._entries else 0.0
        try:
            for number, entry in enumerate(self._entries):
                gap = entry.at - before
                before = entry.at
                if entry.kind is Kind.CALL:
                    await self._sleep(gap)
                    await self._play(number, entry)
                elif entry.kind is Kind.END:
                    await self._hang_up(entry.connection)
                elif call := self._calls.get((entry.connection, entry.stream)):
                    if entry.is_up:
                        await self._sleep(gap)
                    await self._follow(call, entry)
        finally:
            await self._close()

    async def _sleep(self, gap: float) -> None:
        if gap >= SHORTEST_GAP:
            await asyncio.sleep(min(gap, self._pace.longest_gap))

    async def _play(self, number: int, entry: Entry) -> None:
        known = find_method(self._apis, entry.service, entry.method)
        method = known.method if known else self._unknown_method(entry)
        request: Message | None = to_message(entry.body, method.request_type)
        client = await self._client(entry.connection)
        companion = await self._companion(known, client, number)
        assert request is not None
        if companion is not None:
            request = await companion.prepare(method, request)
        if request is None:
            self.tally.left_out += 1
            return
        self.tally.played += 1
        call = PlayedCall(
            entry, client, method, request, api=known.api if known else None
        )
        self._calls[entry.connection, entry.stream] = call
        await call.begin()
        if companion is not None and call.task is not None:
            sent = request
            call.task.add_done_callback(
                lambda done: (
                    None
                    if done.cancelled() or done.exception()
                    else companion.succeeded(method, sent)
                )
            )
        if (entry.connection, entry.stream) not in self._answered:
            self.tally.unrecorded += 1
            # The client may have made its next call with this one still open.
            await call.settle(self._pace.longest_gap)

    def _unknown_method(self, call: Entry) -> Method[Any, Any]:
        """Return a method whose messages keep their bytes, as unknown fields."""
        streamed = [
            entry
            for entry in self._entries
            if entry.kind is Kind.MESSAGE
            and (entry.connection, entry.stream) == (call.connection, call.stream)
        ]
        receives = any(not entry.is_up for entry in streamed)
        cardinality = Cardinality((call.is_open, receives))
        return Method(call.method, call.service, cardinality, Empty, Empty)

    async def _client(self, connection: int) -> Client:
        client = self._clients.get(connection)
        if client is None:
            client = await Client.connect(self._address, timeout=CONNECT_TIMEOUT)
            self._clients[connection] = client
        return client

    async def _companion(
        self, known: KnownMethod | None, client: Client, number: int
    ) -> Companion | None:
        if known is None or self._as_sent:
            return None
        api = known.api
        if api.name not in self._companions:
            requests = [
                to_message(entry.body, other.method.request_type)
                for entry in self._entries[number:]
                if entry.kind is Kind.CALL
                and (other := find_method([api], entry.service, entry.method))
            ]
            # A client of its own, so that no call of the recording delays its calls.
            own = await Client.connect(
                self._address, timeout=CONNECT_TIMEOUT, reconnect=CONNECT_TIMEOUT
            )
            self._companions[api.name] = api.companion(own, requests)
        return self._companions[api.name]

    async def _follow(self, call: PlayedCall, entry: Entry) -> None:
        """Play or compare what follows a call: messages, ends, the answer."""
        try:
            if entry.is_up and entry.kind is Kind.MESSAGE:
                await call.send(to_message(entry.body, call.method.request_type))
            elif entry.is_up:
                await call.close_send()
            elif entry.kind is Kind.MESSAGE:
                message = await call.receive(self._pace.patience)
                self._compare(call, entry, message)
            else:
                del self._calls[entry.connection, entry.stream]
                if call.method.cardinality.server_streaming:
                    await self._end_stream(call, entry)
                else:
                    now = await call.answer(self._pace.patience)
                    self._compare(call, entry, now)
        except (TtrpcError, TimeoutError) as exc:
            self._failed(call, entry, exc)

    async def _end_stream(self, call: PlayedCall, entry: Entry) -> None:
        if await call.receive(self._pace.patience) is not None:
            self._differs(call, "recorded the end of the stream, now a message")
            await call.cancel()
        elif entry.kind is Kind.ERROR:
            self._differs(call, f"recorded {_status(entry)}, now OK")

    def _compare(self, call: PlayedCall, entry: Entry, now: Message | None) -> None:
        if entry.kind is Kind.ERROR:
            self._differs(call, f"recorded {_status(entry)}, now OK")
        elif now is None:
            self._differs(call, "recorded a message, now the stream has ended")
        else:
            for found in compare_messages(call.api, call.entry, entry, now):
                self._found(found)

    def _failed(self, call: PlayedCall, entry: Entry, exc: Exception) -> None:
        recorded = _status(entry)
        if isinstance(exc, TimeoutError):
            now = f"no answer within {self._pace.patience:g} s"
        elif isinstance(exc, StatusError):
            if entry.kind is Kind.ERROR and exc.code == entry.code:
                return
            now = str(exc)
        else:
            now = str(exc)
        self._differs(call, f"recorded {recorded}, now {now}")

    def _differs(self, call: PlayedCall, text: str) -> None:
        self._found(Difference(call.entry.line, call.entry.method, text, True))

    def _found(self, difference: Difference) -> None:
        self.tally.differences += difference.matters
        self._report(difference)

    async def _hang_up(self, connection: int) -> None:
        """End a connection as the client did; its open calls end with it."""
        for key in [key for key in self._calls if key[0] == connection]:
            await self._calls.pop(key).cancel()
        if client := self._clients.pop(connection, None):
            await client.close()

    async def _close(self) -> None:
        for call in self._calls.values():
            await call.cancel()
        for companion in self._companions.values():
            with contextlib.suppress(TtrpcError):
                await companion.close()
            await companion.client.close()
        for client in self._clients.values():
            await client.close()


def _status(entry: Entry) -> str:
    if entry.kind is not Kind.ERROR:
        return "OK"
    with contextlib.suppress(ValueError):
        return f"{Code(entry.code).name}: {entry.text}"
    return f"code {entry.code}: {entry.text}"
