# SPDX-License-Identifier: Apache-2.0
"""A message as the bytes that it has on the wire.

A method whose request and response are `Raw` needs no .proto file:

    SHOUT = Method.raw("demo.Echo", "Shout")
    answer = await client.call(SHOUT, Raw(b"..."))
"""

from __future__ import annotations


class Raw(bytes):
    """The bytes of one message, with the two methods that ttrpc calls on messages."""

    __slots__ = ()

    @classmethod
    def FromString(cls, payload: bytes | memoryview) -> Raw:
        """Take a payload; any bytes will do."""
        return cls(payload)

    def SerializeToString(self) -> bytes:
        """Return the payload."""
        return self
