# SPDX-License-Identifier: Apache-2.0
"""The two messages around every payload: Request and Response (ttrpc/envelope.proto).

The service and the method open a Request and are the same bytes on every call. So
the server looks those bytes up as they are, and only what follows them is
decoded: half the time of decoding the whole, and a large payload is copied once
less. Whatever does not look like that is left to protobuf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from google.protobuf.message import DecodeError

from ttrpc.codes import Code
from ttrpc.envelope_pb2 import KeyValue, Request, Response, Status
from ttrpc.errors import StatusError
from ttrpc.metadata import Pairs

T = TypeVar("T")
Payload = bytes | memoryview

# Tags: field number << 3 | wire type 2, length-delimited.
METHOD_TAG: Final = 2 << 3 | 2
PAYLOAD_TAG: Final = 3 << 3 | 2
RESPONSE_PAYLOAD_TAG: Final = 2 << 3 | 2

METADATA_LIMIT: Final = 4096
"""Pairs of one request. A frame has room for two million, which would take a second
to read."""


@dataclass(frozen=True, slots=True)
class UnknownMethod:
    """A request for something that is not in the table."""

    service: str
    method: str


class RequestDecoder(Generic[T]):
    """Decodes requests and finds what their method stands for."""

    __slots__ = ("_by_head", "_by_name")

    def __init__(self, table: dict[tuple[str, str], T]) -> None:
        """Take what to find, by service and bare method name."""
        self._by_name = table
        self._by_head = {
            Request(service=service, method=method).SerializeToString(): target
            for (service, method), target in table.items()
            # Longer names have a length of two bytes, which `decode` does not read.
            if len(service.encode()) < 0x80 and len(method.encode()) < 0x80
        }

    def decode(self, body: Payload) -> tuple[T | UnknownMethod, Payload, int, Pairs]:
        """Return the target, the payload, the timeout in ns and the metadata.

        Raises:
            StatusError: INVALID_ARGUMENT, it is not a Request; RESOURCE_EXHAUSTED,
                it has too much metadata.
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
                    # A field that comes twice counts as it came last, also when that
                    # is empty, which only the size shows.
                    is_whole = rest.ByteSize() == size - stop
                    if is_whole and not (rest.service or rest.method or rest.payload):
                        pairs = _pairs(rest)
                        return target, body[start:stop], rest.timeout_nano, pairs
        return self._decode_any(body)

    def _decode_any(
        self, body: Payload
    ) -> tuple[T | UnknownMethod, Payload, int, Pairs]:
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
    """Return where the payload, whose length is at `position`, starts and stops.

    A length that is cut off or has more than four bytes (they hold 256 MiB) gives
    a stop behind the end.
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


def encode_request(
    head: bytes, payload: bytes, timeout_nano: int = 0, metadata: Pairs = ()
) -> list[bytes]:
    """Return the parts of a Request; `head` comes from `request_head`."""
    parts = [head]
    if payload:
        parts += (bytes((PAYLOAD_TAG,)) + varint(len(payload)), payload)
    if timeout_nano or metadata:
        tail = Request(
            timeout_nano=timeout_nano,
            metadata=[KeyValue(key=key, value=value) for key, value in metadata],
        )
        parts.append(tail.SerializeToString())
    return parts


def request_head(service: str, method: str) -> bytes:
    """Return the part of a Request that is the same on every call of a method."""
    return Request(service=service, method=method).SerializeToString()


def response_head(length: int) -> bytes:
    """Return what goes before `length` bytes of payload in an OK Response.

    An OK status is left out, as Go does: openvmm takes an empty one for an error.
    """
    return bytes((RESPONSE_PAYLOAD_TAG,)) + varint(length) if length else b""


def encode_error(error: StatusError) -> bytes:
    """Return the Response that carries a status."""
    # Text from the system, say a file's name, may hold what UTF-8 cannot say.
    message = error.message.encode(errors="backslashreplace").decode()
    status = Status(code=error.code, message=message, details=error.details)
    return Response(status=status).SerializeToString()


def decode_response(body: Payload) -> bytes:
    """Return a Response's payload.

    Raises:
        StatusError: the call ended with this status.
        DecodeError: it is not a Response.
    """
    response = Response.FromString(bytes(body))
    status = response.status
    # Rust sends an OK status, Go sends none.
    if status.code != Code.OK:
        raise StatusError(status.code, status.message, status.details)
    return response.payload


def varint(number: int) -> bytes:
    """Encode a length as protobuf does: seven bits a byte, the lowest first."""
    if number < 0x80:
        return bytes((number,))
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
