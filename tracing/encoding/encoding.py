# SPDX-License-Identifier: Apache-2.0
"""How a batch of spans looks on the wire: OTLP, or Jaeger Thrift.

Nothing here imports an encoder until one is asked for.
"""

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
    """An encoder, and the HTTP request that its batches travel in."""

    name: str
    path: str
    content_type: str
    taken: frozenset[int]
    """The statuses that say that the collector has the batch."""
    encode: Encode
    rejected: Callable[[bytes], int]
    """Read from such an answer's body how many spans were refused after all."""
