# SPDX-License-Identifier: Apache-2.0
"""Compares an answer with the recorded one, by the fields that a client reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import Message

from ttrpc.errors import sanitize
from ttrpc.recording.api import Api, Reads
from ttrpc.recording.entry import Entry, to_message

SHOWN: Final = 120
"""Characters of a value that are shown."""
_ABSENT: Final = "absent"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between a recorded answer and that of the replay."""

    line: int
    """The line of the recording that has the call."""
    method: str
    text: str
    matters: bool
    """Whether a client would notice it."""

    def __str__(self) -> str:
        ending = "" if self.matters else " (no client reads it)"
        return f"line {self.line}: {self.method}: {sanitize(self.text)}{ending}"


def compare_messages(
    api: Api | None, call: Entry, recorded: Entry, now: Message
) -> Iterator[Difference]:
    """Yield the differences between a recorded message and one of the replay."""
    before = _as_dict(to_message(recorded.body, type(now)))
    after = _as_dict(now)
    if before == after:
        return
    if api is None or api.reads is None:
        text = f"recorded {_show(before)}, now {_show(after)}"
        yield Difference(call.line, call.method, text, True)
        return
    reads = api.reads.get(call.method, Reads())
    read_paths = {*reads.values, *reads.present}
    for path in sorted(read_paths):
        old, new = _at(before, path), _at(after, path)
        is_same = old == new if path in reads.values else _fits(old, new)
        if not is_same:
            text = f"{path}: recorded {_show(old)}, now {_show(new)}"
            yield Difference(call.line, call.method, text, True)
    for path in sorted(_leaves(before) | _leaves(after)):
        if not any(f"{path}.".startswith(f"{read}.") for read in read_paths):
            old, new = _at(before, path), _at(after, path)
            if old != new:
                text = f"{path}: recorded {_show(old)}, now {_show(new)}"
                yield Difference(call.line, call.method, text, False)


def _fits(old: object, new: object) -> bool:
    """Tell whether a field is there now if it was there in the recording."""
    return new != _ABSENT or old == _ABSENT


def _as_dict(message: Message) -> dict[str, Any]:
    shown: object = json_format.MessageToDict(message, preserving_proto_field_name=True)
    if shown == {} and message.ByteSize():
        # A type that is not known: all its fields are.
        return {"payload": message.SerializeToString().hex()}
    # The JSON form of a wrapper, such as StringValue, is a bare value.
    return shown if isinstance(shown, dict) else {"value": shown}


def _at(fields: Mapping[str, Any], path: str) -> Any:
    value: Any = fields
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return _ABSENT
        value = value[name]
    return value


def _leaves(fields: Mapping[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, value in fields.items():
        if isinstance(value, Mapping):
            found |= _leaves(value, f"{prefix}{name}.")
        else:
            found.add(f"{prefix}{name}")
    return found


def _show(value: Any) -> str:
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
