# SPDX-License-Identifier: Apache-2.0
"""Makes the lines of a recording from the bytes of one connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError

from ttrpc.envelope_pb2 import Request, Response
from ttrpc.frame import (
    DATA,
    NO_DATA,
    REMOTE_CLOSED,
    REMOTE_OPEN,
    REQUEST,
    RESPONSE,
    Oversized,
    ReceivedFrame,
)
from ttrpc.frame_decoder import FrameDecoder
from ttrpc.recording.api import Api, KnownMethod, find_method
from ttrpc.recording.entry import message_fields, payload_fields

WriteLine: TypeAlias = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that has not been answered yet."""

    name: str
    known: KnownMethod | None
    begun: float
    """Seconds of the monotonic clock."""


class Recorder:
    """Records one connection, of which it sees every byte but changes none."""

    def __init__(
        self,
        number: int,
        apis: Sequence[Api],
        write: WriteLine,
        *,
        redacts: bool,
    ) -> None:
        """Record the connection of that number.

        Args:
            write: Takes the fields of each line.
            redacts: Whether secrets are replaced.
        """
        self._number = number
        self._apis = apis
        self._write_line = write
        self._redacts = redacts
        self._decoders = {True: FrameDecoder(), False: FrameDecoder()}
        """By direction: True from the client to the server."""
        self._calls: dict[int, _Call] = {}

    def write(self, **fields: object) -> None:
        """Write a line of this connection."""
        self._write_line({"at": time.time(), "connection": self._number, **fields})

    def receive(self, data: bytes, *, up: bool) -> None:
        """Take bytes of the connection; `up` are those of the client."""
        for frame in self._decoders[up].receive(data):
            try:
                self._receive_frame(frame, up)
            except DecodeError as exc:
                self.write(unreadable=str(exc), sid=frame[0], up=up)

    def _receive_frame(self, frame: ReceivedFrame, up: bool) -> None:
        if isinstance(frame, Oversized):
            self.write(oversized=frame.length, sid=frame.stream_id, up=up)
            return
        stream_id, type, flags, payload = frame
        if type == REQUEST and up:
            self._open(stream_id, flags, Request.FromString(bytes(payload)))
        elif type == RESPONSE and not up:
            self._end(stream_id, Response.FromString(bytes(payload)))
        elif type == DATA and stream_id in self._calls:
            call = self._calls[stream_id]
            if payload or not flags & NO_DATA:
                body = self._message(call.known, bytes(payload), up)
                self.write(message=call.name, sid=stream_id, up=up, **body)
            if flags & REMOTE_CLOSED:
                self.write(close=call.name, sid=stream_id, up=up)
                if not up:
                    # The end of a stream without an error: no Response follows.
                    del self._calls[stream_id]

    def _open(self, stream_id: int, flags: int, request: Request) -> None:
        known = find_method(self._apis, request.service, request.method)
        self._calls[stream_id] = _Call(request.method, known, time.monotonic())
        is_open = {"open": True} if flags & REMOTE_OPEN else {}
        self.write(
            call=request.method,
            service=request.service,
            sid=stream_id,
            timeout_ns=request.timeout_nano,
            md=[f"{pair.key}={pair.value}" for pair in request.metadata],
            **is_open,
            **self._message(known, request.payload, up=True),
        )

    def _end(self, stream_id: int, response: Response) -> None:
        call = self._calls.pop(stream_id, None) or _Call("", None, time.monotonic())
        ms = round((time.monotonic() - call.begun) * 1000, 1)
        status = response.status
        if status.code:
            self.write(
                error=call.name,
                sid=stream_id,
                ms=ms,
                code=status.code,
                text=status.message,
            )
        else:
            body = self._message(call.known, response.payload, up=False)
            self.write(answer=call.name, sid=stream_id, ms=ms, **body)

    def _message(
        self, known: KnownMethod | None, payload: bytes, up: bool
    ) -> dict[str, Any]:
        if known is None:
            return payload_fields(payload)
        method = known.method
        message = (method.request_type if up else method.response_type).FromString(
            payload
        )
        if self._redacts and known.api.redact is not None:
            known.api.redact(message)
        return message_fields(message, "req" if up else "resp")
