# SPDX-License-Identifier: Apache-2.0
"""The two enums of OTLP's spans (opentelemetry-proto, trace.proto)."""

from __future__ import annotations

import enum


class Kind(enum.IntEnum):
    """SpanKind of OTLP's trace.proto."""

    UNSPECIFIED = 0
    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class Status(enum.IntEnum):
    """StatusCode of OTLP's trace.proto."""

    UNSET = 0
    OK = 1
    ERROR = 2
