# SPDX-License-Identifier: Apache-2.0
"""Finds the method of a Request and takes the Request apart.

Service and method are the first fields of a Request, and the same bytes on every call
of one method. So the decoder looks these bytes up as they are and decodes only the
fields behind them: that takes half the time of decoding the whole message, and copies
a large payload once less. A Request in any other order is decoded by protobuf.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Generic, NamedTuple, TypeVar

from google.protobuf.message import DecodeError

from ttrpc.codes import Code
from ttrpc.envelope import PAYLOAD_TAG
from ttrpc.envelope_pb2 import Request
from ttrpc.errors import StatusError
from ttrpc.frame import Payload
from ttrpc.metadata import Pairs

TargetT = TypeVar("TargetT")

METADATA_LIMIT: Final = 4096
"""Pairs of metadata in one request. A frame has room for two million, which would
take a second to decode."""


class UnknownMethod(NamedTuple):
    """The names in a request for a method that the decoder has no target for."""

    service: str
    method: str


class RequestDecoder(Generic[TargetT]):
    """Decodes requests and finds the target of their method, a route for example."""

    __slots__ = ("_by_head", "_by_name")

    def __init__(self, table: Mapping[tuple[str, str], TargetT]) -> None:
        """Take the targets, by full service name and bare method name."""
        self._by_name: dict[tuple[str, str], TargetT] = {}
        self._by_head: dict[bytes, TargetT] = {}
        self.add(table)

    def add(self, table: Mapping[tuple[str, str], TargetT]) -> None:
        """Add targets, by full service name and bare method name."""
        self._by_name.update(table)
        self._by_head.update(
            (Request(service=service, method=method).SerializeToString(), target)
            for (service, method), target in table.items()
            # Longer names have a length of two bytes, which `decode` does not read.
            if len(service.encode()) < 0x80 and len(method.encode()) < 0x80
        )

    def decode(
        self, body: Payload
    ) -> tuple[TargetT | UnknownMethod, Payload, int, Pairs]:
        """Return the target, the payload, the timeout in ns and the metadata.

        Raises:
            StatusError: INVALID_ARGUMENT if `body` is not a Request,
                RESOURCE_EXHAUSTED if it has more than METADATA_LIMIT pairs.
        """
        size = len(body)
        # 0a <length> service 12 <length> method 1a <varint> payload ...
        stop = body[1] + 3 if size > 2 else size
        if stop < size:
            stop += body[stop] + 1
            target = self._by_head.get(bytes(body[:stop]))
            if target is not None:
                start = stop
                if stop < size and body[stop] == PAYLOAD_TAG:
                    start, stop = _payload_span(body, stop + 1, size)
                if stop == size:
                    return target, body[start:], 0, ()
                if stop < size:
                    rest = _parse(body[stop:])
                    # In protobuf the last occurrence of a field wins, even an empty
                    # one; only the encoded size reveals that.
                    is_whole = rest.ByteSize() == size - stop
                    if is_whole and not (rest.service or rest.method or rest.payload):
                        pairs = _pairs(rest)
                        return target, body[start:stop], rest.timeout_nano, pairs
        return self._decode_any(body)

    def _decode_any(
        self, body: Payload
    ) -> tuple[TargetT | UnknownMethod, Payload, int, Pairs]:
        request = _parse(body)
        found = self._by_name.get((request.service, request.method))
        target = UnknownMethod(request.service, request.method)
        return (
            target if found is None else found,
            request.payload,
            request.timeout_nano,
            _pairs(request),
        )


def _payload_span(body: Payload, position: int, size: int) -> tuple[int, int]:
    """Return the start and the stop of the payload whose length is at `position`.

    The stop is behind the end of `body` if the length is cut off, or longer than four
    bytes (which hold lengths up to 256 MiB).
    """
    length = 0
    for shift in (0, 7, 14, 21):
        if position == size:
            break
        byte = body[position]
        position += 1
        if byte < 0x80:
            return position, position + (length | byte << shift)
        length |= (byte & 0x7F) << shift
    return size, size + 1


def _parse(body: Payload) -> Request:
    try:
        return Request.FromString(bytes(body))
    except DecodeError as exc:
        raise StatusError(
            Code.INVALID_ARGUMENT, f"unmarshal request error: {exc}"
        ) from None


def _pairs(request: Request) -> list[tuple[str, str]]:
    count = len(request.metadata)
    if count > METADATA_LIMIT:
        raise StatusError(
            Code.RESOURCE_EXHAUSTED,
            f"{count} pairs of metadata, {METADATA_LIMIT} at most",
        )
    return [(pair.key, pair.value) for pair in request.metadata]
