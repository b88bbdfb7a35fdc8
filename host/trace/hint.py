# SPDX-License-Identifier: Apache-2.0
"""The few words that tell a span from others of its name."""

from __future__ import annotations

from typing import Final

from kata_host.trace.received_span import ReceivedSpan
from kata_host.trace.shorten import shorten
from kata_tracing import semconv

HINTS: Final = (
    semconv.CONTAINER_ID,
    semconv.EXEC_ID,
    semconv.STORAGE_DRIVER,
    semconv.STORAGE_FSTYPE,
    semconv.DEVICE_TYPE,
    semconv.UEVENT_NAME,
    semconv.NETWORK_INTERFACE_NAME,
    semconv.PROCESS_EXECUTABLE_NAME,
)
"""Attributes whose values are shown after a span's name."""


def hint(span: ReceivedSpan, parent: ReceivedSpan | None) -> str:
    """Return the values of `HINTS` that the parent does not have too."""
    above = {} if parent is None else parent.attributes
    words = [
        shorten(str(value))
        for key in HINTS
        if (value := span.attributes.get(key)) and above.get(key) != value
    ]
    return " ".join(dict.fromkeys(words))
