# SPDX-License-Identifier: Apache-2.0
"""Errors that do not say what they are about: they get the request's words for it.

The kernel's error for a descriptor that is not there names no container, and Python's
error for a path with a NUL names no field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from google.protobuf.message import Message

from kata_agent.errors import InvalidArgument, ResourceExhausted
from kata_agent.exhaustion import find_exhaustion
from kata_agent.rpc.status import to_status

_NUL: Final = ("embedded null byte", "embedded null character")
"""Python's words for a string that the kernel cannot take, in a `ValueError`."""


def with_subject(error: Exception, request: Any) -> Exception:
    """Return the error to answer `request` with: `error`, or one that says more."""
    if isinstance(error, ValueError) and str(error) in _NUL:
        fields = ", ".join(_fields_with_nul(request, "")) or "a path"
        return InvalidArgument(f"{fields}: a NUL character")
    if find_exhaustion(error) and not isinstance(error, ResourceExhausted):
        text = to_status(error).message
        container_id = getattr(request, "container_id", "")
        if container_id and not text.startswith("container "):
            text = f"container {container_id!r}: {text}"
        return ResourceExhausted(text)
    return error


def _fields_with_nul(message: Message, path: str) -> Iterator[str]:
    for field, value in message.ListFields():
        yield from _values_with_nul(value, f"{path}{field.name}")


def _values_with_nul(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if "\0" in value:
            yield path
    elif isinstance(value, Message):
        yield from _fields_with_nul(value, f"{path}.")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _values_with_nul(key, path)
            yield from _values_with_nul(inner, f"{path}[{key!r}]")
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for index, inner in enumerate(value):
            yield from _values_with_nul(inner, f"{path}[{index}]")
