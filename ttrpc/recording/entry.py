# SPDX-License-Identifier: Apache-2.0
"""The lines of a recording, one JSON object each.

    {"recording": 1, "redacted": true}
    {"at": 1.5, "connection": 1, "connect": "unix:///run/a.sock"}
    {"at": 1.5, "connection": 1, "handshake": "CONNECT 1024"}
    {"at": 1.5, "connection": 1, "call": "Shout", "service": "demo.Echo", "sid": 1,
     "timeout_ns": 2000000000, "md": ["key=value"], "req": {"value": "hello"}}
    {"at": 1.6, "connection": 1, "answer": "Shout", "sid": 1, "ms": 0.4, "resp": {...}}
    {"at": 1.6, "connection": 1, "error": "Shout", "sid": 1, "ms": 0.4, "code": 5,
     "text": "no such echo"}
    {"at": 1.6, "connection": 1, "message": "Sum", "sid": 3, "up": true, "req": {...}}
    {"at": 1.6, "connection": 1, "close": "Sum", "sid": 3, "up": true}
    {"at": 1.7, "connection": 1, "end": "client"}

`at` is in seconds since 1970. A call with `"open": true` sends messages of a stream
after its request; `up` is from the client to the server. A message is in protobuf's
JSON form with the names of the .proto file; where the type is not known, `payload`
holds its bytes in base64. `unknown` counts the bytes of fields that the descriptors
lack.

A line of the form `{"method": "demo.Echo/Shout", "request": {...}, "timeout_nano": 0}`
is a call without a recorded answer.
"""

from __future__ import annotations

import base64
import binascii
import enum
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

VERSION: Final = 1
"""The version of the format, in the first line."""

Body: TypeAlias = Any
"""A message, as its bytes, or as the value of its JSON form."""


class Kind(enum.Enum):
    """The kinds of entries; the value is the name of the field that tells."""

    CALL = "call"
    MESSAGE = "message"
    CLOSE = "close"
    ANSWER = "answer"
    ERROR = "error"
    END = "end"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that matters to a replay."""

    kind: Kind
    line: int
    """Its number in the file, from 1."""
    at: float
    connection: int
    stream: int
    method: str = ""
    """The bare name."""
    service: str = ""
    """Of a call only."""
    body: Body = b""
    timeout: float | None = None
    """Seconds that the call had."""
    metadata: tuple[tuple[str, str], ...] = ()
    is_open: bool = False
    """Whether the client streams."""
    is_up: bool = False
    """Whether a message or a close comes from the client."""
    code: int = 0
    text: str = ""


def read_entries(lines: Iterable[str]) -> Iterator[Entry]:
    """Parse the lines of a recording.

    Raises:
        ValueError: a line is not one of a recording; the message names its number.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            entry = _parse(fields, number)
        except (ValueError, TypeError, AttributeError, KeyError) as exc:
            raise ValueError(f"line {number}: not of a recording: {exc}") from exc
        if entry is not None:
            yield entry


def _parse(fields: Any, number: int) -> Entry | None:
    if not isinstance(fields, dict):
        raise ValueError("no object")
    if "method" in fields and "call" not in fields:
        return _parse_bare_call(fields, number)
    kinds = [kind for kind in Kind if kind.value in fields]
    if not kinds:
        return None
    kind = kinds[0]
    return Entry(
        kind,
        number,
        float(fields.get("at", 0)),
        int(fields.get("connection", 0)),
        int(fields.get("sid", 0)),
        str(fields[kind.value]),
        service=str(fields.get("service", "")),
        body=_body(fields),
        timeout=_seconds(fields.get("timeout_ns", 0)),
        metadata=_pairs(fields.get("md", ())),
        is_open=bool(fields.get("open", False)),
        is_up=bool(fields.get("up", False)),
        code=int(fields.get("code", 0)),
        text=str(fields.get("text", "")),
    )


def _parse_bare_call(fields: Mapping[str, Any], number: int) -> Entry:
    service, _, method = str(fields["method"]).strip("/").rpartition("/")
    payload = fields.get("payload")
    request = fields.get("request", {})
    return Entry(
        Kind.CALL,
        number,
        0,
        0,
        number,
        method,
        service=service,
        body=request if payload is None else base64.b64decode(payload),
        timeout=_seconds(fields.get("timeout_nano", 0)),
        metadata=_pairs(fields.get("metadata", ())),
    )


def _seconds(nanoseconds: int) -> float | None:
    return nanoseconds / 1e9 if nanoseconds else None


def _pairs(metadata: Iterable[str]) -> tuple[tuple[str, str], ...]:
    split = (pair.partition("=") for pair in metadata)
    return tuple((key, value) for key, _, value in split)


def _body(fields: Mapping[str, Any]) -> Body:
    for name in ("req", "resp"):
        if name in fields:
            return fields[name]
    try:
        return base64.b64decode(fields.get("payload", ""), validate=True)
    except binascii.Error as exc:
        raise ValueError(f"payload: {exc}") from exc


def to_message(body: Body, message_type: type[Message]) -> Message:
    """Return a body as a message; fields that the type lacks are left out.

    Raises:
        ValueError: the body is no message of this type.
    """
    try:
        if isinstance(body, bytes):
            return message_type.FromString(body)
        return json_format.ParseDict(body, message_type(), ignore_unknown_fields=True)
    except (json_format.ParseError, DecodeError, ValueError) as exc:
        raise ValueError(f"{message_type.DESCRIPTOR.name}: {exc}") from exc


def message_fields(message: Message, name: str) -> dict[str, Any]:
    """Return the fields of a line that hold a message, as `req` or `resp`."""
    shown = json_format.MessageToDict(message, preserving_proto_field_name=True)
    fields: dict[str, Any] = {name: shown}
    size = message.ByteSize()
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    if unknown := size - known.ByteSize():
        fields["unknown"] = unknown
    return fields


def payload_fields(payload: bytes) -> dict[str, Any]:
    """Return the field of a line that holds a message of a type that is not known."""
    return {"payload": base64.b64encode(payload).decode()}
