# SPDX-License-Identifier: Apache-2.0
"""The two messages around every payload: Request and Response (ttrpc/envelope.proto).

These messages are encoded in parts, so that a large payload is not copied into a
message first: the fields before it, the payload as it is, and the fields behind it.
"""

from __future__ import annotations

from typing import Final

from ttrpc.codes import Code
from ttrpc.envelope_pb2 import KeyValue, Request, Response, Status
from ttrpc.errors import StatusError
from ttrpc.frame import Payload
from ttrpc.metadata import Pairs

# Tags: field number << 3 | wire type 2, length-delimited.
PAYLOAD_TAG: Final = 3 << 3 | 2
RESPONSE_PAYLOAD_TAG: Final = 2 << 3 | 2


def encode_request(
    head: bytes, payload: bytes, timeout_nano: int = 0, metadata: Pairs = ()
) -> list[bytes]:
    """Return a Request in parts; `head` comes from `request_head`."""
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
    """Return the fields of a Request that are the same on every call of a method."""
    return Request(service=service, method=method).SerializeToString()


def response_head(length: int) -> bytes:
    """Return the bytes before a payload of `length` bytes in an OK Response.

    The OK status is left out, as Go does, because openvmm reads an empty status as
    an error.
    """
    return bytes((RESPONSE_PAYLOAD_TAG,)) + varint(length) if length else b""


def encode_error(error: StatusError) -> bytes:
    """Return a Response with the status of `error`.

    A code that gRPC does not define is sent as UNKNOWN, because ttrpc-rust takes it
    for success.
    """
    code = error.code if isinstance(error.code, Code) else Code.UNKNOWN
    # Text from the system, a file's name for example, may have no form in UTF-8.
    message = error.message.encode(errors="backslashreplace").decode()
    status = Status(code=code, message=message, details=error.details)
    return Response(status=status).SerializeToString()


def decode_response(body: Payload) -> bytes:
    """Return a Response's payload.

    Raises:
        StatusError: the Response has a status other than OK.
        DecodeError: `body` is not a Response.
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
