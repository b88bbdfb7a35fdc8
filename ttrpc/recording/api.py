# SPDX-License-Identifier: Apache-2.0
"""An API as the recording knows it, and the APIs that are installed.

A distribution announces an API as an entry point:

    [project.entry-points."ttrpc.recording"]
    echo = "echo.recording:API"
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import Message

from ttrpc.descriptor_set import parse_services
from ttrpc.recording.companion import Companion
from ttrpc.service import Method, Service

ENTRY_POINTS: Final = "ttrpc.recording"
"""The group of entry points that name an `Api`."""


@dataclass(frozen=True, slots=True)
class Reads:
    """The fields of a response that a client reads, as paths: `usage.total`."""

    values: tuple[str, ...] = ()
    """Must be equal."""
    present: tuple[str, ...] = ()
    """Must be set if they were, with any value."""


@dataclass(frozen=True, slots=True)
class Api:
    """Services, and what a recording has to know of their messages."""

    name: str
    services: Mapping[str, Service]
    """By full name."""
    redact: Callable[[Message], object] | None = None
    """Replaces the secrets in a request, a response or a message of a stream."""
    reads: Mapping[str, Reads] | None = None
    """The fields that a client reads, by the method's bare name; a method that is not
    named has none. None if a client is taken to read every field."""
    companion: type[Companion] = field(default=Companion)


@dataclass(frozen=True, slots=True)
class KnownMethod:
    """A method and the API that it belongs to."""

    api: Api
    method: Method[Any, Any]


def find_method(apis: Iterable[Api], service: str, name: str) -> KnownMethod | None:
    """Return the method of that name; None if no API has it."""
    for api in apis:
        if service in api.services and name in api.services[service].methods:
            return KnownMethod(api, api.services[service].methods[name])
    return None


def installed_apis() -> list[Api]:
    """Return the APIs that installed distributions announce."""
    found = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    return [found[name].load() for name in sorted(found)]


def load_api(reference: str) -> Api:
    """Return the API that `package.module:NAME` refers to.

    Raises:
        ValueError: there is no such module or name, or it is no `Api`.
    """
    module, _, name = reference.partition(":")
    try:
        api = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as exc:
        raise ValueError(f"API '{reference}': {exc}") from exc
    if not isinstance(api, Api):
        raise ValueError(f"API '{reference}': not an Api")
    return api


def read_descriptors(path: Path) -> Api:
    """Return the API in a file of `protoc --include_imports --descriptor_set_out`.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file holds no descriptor set.
    """
    return Api(path.name, parse_services(path.read_bytes()))
