# SPDX-License-Identifier: Apache-2.0
"""The kind of a span, by OTLP's numbers."""

from __future__ import annotations

import enum


class SpanKind(enum.IntEnum):
    """`Span.SpanKind` of opentelemetry-proto's trace.proto."""

    UNSPECIFIED = 0
    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5
