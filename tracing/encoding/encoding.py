# SPDX-License-Identifier: Apache-2.0
"""The Protocol of an encoding, as the trace port uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

OTLP: Final = "otlp"
JAEGER: Final = "jaeger"

Encode: TypeAlias = "Callable[[Sequence[ReadableSpan]], bytes]"


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoder, and the HTTP request that carries its batches."""

    name: str
    path: str
    content_type: str
    taken: frozenset[int]
    """The statuses by which the collector takes a batch."""
    encode: Encode
    """Return a batch as bytes. All its spans are of one resource."""
    rejected: Callable[[bytes], int]
    """Return how many spans of a taken batch the body of the response rejects."""
