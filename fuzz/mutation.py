# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for messages: a valid one with some of its fields changed.

The fields come from the descriptors, so a new field of the API is fuzzed as soon as it
is there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

Field = Any
"""A descriptor of either implementation of protobuf."""
M = TypeVar("M", bound=Message)

_INTEGERS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, (1 << 64) - 1),
}
_EDGES: Final = (0, 1, 2, 9, 255, 256, 4096, 65534, 65536, 1 << 20, 1 << 30)
MOST_CHANGES: Final = 4
"""Fields that are changed in one message."""


class Mutation:
    """Changes messages; `texts` are strings that mean something to the agent."""

    def __init__(self, texts: Sequence[str], fixed: Collection[str]) -> None:
        """`fixed` are the full names of fields that stay as they are."""
        self._texts = st.one_of(
            st.sampled_from(texts),
            st.tuples(st.sampled_from(texts), st.sampled_from(texts)).map("".join),
            st.text(max_size=20),
            st.sampled_from(("\0", "a\nb", "\x1b[2J", "é", "x" * 256, "x" * 5000)),
        )
        self._bytes = st.one_of(st.binary(max_size=20), self._texts.map(str.encode))
        self._fixed = frozenset(fixed)

    def of(self, base: M) -> st.SearchStrategy[M]:
        """Return a strategy for `base` with up to `MOST_CHANGES` fields changed."""

        @st.composite
        def changed(draw: st.DrawFn) -> M:
            message = type(base)()
            message.CopyFrom(base)
            for _ in range(draw(st.integers(0, MOST_CHANGES))):
                self._change(draw, message)
            return message

        return changed()

    def _change(self, draw: st.DrawFn, message: Message) -> None:
        """Change a field of `message`, or of a message inside."""
        fields = [
            field
            for field in message.DESCRIPTOR.fields
            if field.full_name not in self._fixed
        ]
        if not fields:
            return
        field = draw(st.sampled_from(fields))
        if field.is_repeated:
            self._change_repeated(draw, message, field)
        elif field.message_type is None:
            setattr(message, field.name, draw(self._scalar(field)))
        elif draw(st.integers(0, 9)) == 0:
            message.ClearField(field.name)
        else:
            inner = getattr(message, field.name)
            inner.SetInParent()
            self._change(draw, inner)

    def _change_repeated(self, draw: st.DrawFn, message: Message, field: Field) -> None:
        values: Any = getattr(message, field.name)
        action = draw(st.sampled_from(("change", "change", "add", "add", "clear")))
        if action == "clear":
            message.ClearField(field.name)
        elif field.message_type is None:
            if action == "change" and values:
                index = draw(st.integers(0, len(values) - 1))
                values[index] = draw(self._scalar(field))
            else:
                values.append(draw(self._scalar(field)))
        elif field.message_type.GetOptions().map_entry:
            kinds = field.message_type.fields_by_name
            key, value = kinds["key"], kinds["value"]
            if value.message_type is None:
                values[draw(self._scalar(key))] = draw(self._scalar(value))
            else:
                self._change(draw, values[draw(self._scalar(key))])
        elif action == "change" and values:
            self._change(draw, values[draw(st.integers(0, len(values) - 1))])
        else:
            added = values.add()
            if len(values) > 1 and draw(st.booleans()):
                added.CopyFrom(values[0])
            self._change(draw, added)

    def _scalar(self, field: Field) -> st.SearchStrategy[Any]:
        kind = field.cpp_type
        if kind == FieldDescriptor.CPPTYPE_STRING:
            is_bytes = field.type == FieldDescriptor.TYPE_BYTES
            return self._bytes if is_bytes else self._texts
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return st.booleans()
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            return st.integers(-1, 9)
        if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return st.floats(width=32)
        lowest, highest = _INTEGERS[kind]
        edges = {lowest, highest, *_EDGES, *(-edge for edge in _EDGES)}
        return st.one_of(
            st.sampled_from(sorted(n for n in edges if lowest <= n <= highest)),
            st.integers(lowest, highest),
        )
