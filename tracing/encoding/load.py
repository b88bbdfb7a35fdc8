# SPDX-License-Identifier: Apache-2.0
"""The encoders by name; one is imported when it is asked for."""

from __future__ import annotations

from kata_tracing.encoding.encoding import JAEGER, OTLP, Encoding


def load(name: str) -> Encoding:
    """Import the encoder called `name`, `otlp` or `jaeger`. Raises `ValueError`."""
    if name == OTLP:
        from kata_tracing.encoding import otlp

        return otlp.ENCODING
    if name == JAEGER:
        from kata_tracing.encoding import jaeger

        return jaeger.ENCODING
    raise ValueError(f"trace encoding {name!r}: neither {OTLP!r} nor {JAEGER!r}")
