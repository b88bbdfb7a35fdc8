# SPDX-License-Identifier: Apache-2.0
"""The JSON documents of an image, whose types are checked where they are read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kata_host.image.errors import ImageError


def parse_document(content: bytes, subject: str) -> Any:
    """Return the value of a JSON document. Raises `ImageError`."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{subject}: no JSON: {error}") from error


def as_object(value: object, subject: str) -> Mapping[str, Any]:
    """Return a JSON object; an absent one is empty. Raises `ImageError`."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ImageError(f"{subject}: not an object")
    return value


def as_list(value: object, subject: str) -> Sequence[Any]:
    """Return a JSON array; an absent one is empty. Raises `ImageError`."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ImageError(f"{subject}: not an array")
    return value


def as_text(value: object, subject: str) -> str:
    """Return a string; an absent one is empty.

    Raises `ImageError`, also for text that no message of the agent's API can hold.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ImageError(f"{subject}: not a string")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ImageError(f"{subject}: {value!r:.80} is no text")
    return value


def as_texts(value: object, subject: str) -> tuple[str, ...]:
    """Return an array of strings. Raises `ImageError`."""
    return tuple(as_text(item, subject) for item in as_list(value, subject))
