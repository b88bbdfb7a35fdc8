# SPDX-License-Identifier: Apache-2.0
"""The encodings by name."""

from __future__ import annotations

from kata_tracing.encoding.encoding import JAEGER, OTLP, Encoding


def load_encoding(name: str) -> Encoding:
    """Import the encoding called `name`, `otlp` or `jaeger`.

    Raises `ValueError` for another name, and for `jaeger` if the packages of the extra
    `jaeger` are not installed.
    """
    if name == OTLP:
        from kata_tracing.encoding import otlp

        return otlp.ENCODING
    if name == JAEGER:
        try:
            from kata_tracing.encoding import jaeger
        except ModuleNotFoundError as error:
            raise ValueError(
                f"trace encoding {name!r}: jaeger-client is not installed "
                "(pip install 'kata-agent[jaeger]')"
            ) from error

        return jaeger.ENCODING
    raise ValueError(f"unknown trace encoding {name!r}, use {OTLP!r} or {JAEGER!r}")
