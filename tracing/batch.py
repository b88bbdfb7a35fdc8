# SPDX-License-Identifier: Apache-2.0
"""Spans that travel together, as bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batch:
    """The body of one request to the collector."""

    body: bytes
    spans: int
    """How many are in it."""
