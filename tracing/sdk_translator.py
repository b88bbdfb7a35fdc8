# SPDX-License-Identifier: Apache-2.0
"""Makes the spans of OpenTelemetry's SDK from the data of ended spans.

Imported when tracing goes on, never before, and used by the sender thread. A span
takes the SDK 15 us to begin and to end; making a finished one takes 2, and no call
waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry import trace as api
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.sdk.version import __version__
from opentelemetry.util.types import Attributes

from kata_tracing import semconv
from kata_tracing.span_data import SpanData
from kata_tracing.span_kind import SpanKind
from kata_tracing.trace_context import TraceContext

_KINDS: Final = {SpanKind[kind.name]: kind for kind in api.SpanKind}
_UNSET: Final = api.Status(api.StatusCode.UNSET)
_ERROR: Final = api.Status(api.StatusCode.ERROR)
_NO_STATE: Final = api.TraceState()


class SdkTranslator:
    """Makes the SDK's spans, all of one resource and one scope."""

    def __init__(self, attributes: Mapping[str, str | int]) -> None:
        """Take the resource's attributes, to which the SDK's own are added."""
        self._resource = Resource(
            {
                **attributes,
                semconv.TELEMETRY_SDK_NAME: "opentelemetry",
                semconv.TELEMETRY_SDK_LANGUAGE: "python",
                semconv.TELEMETRY_SDK_VERSION: __version__,
            }
        )
        version = str(attributes.get(semconv.SERVICE_VERSION, ""))
        self._scope = InstrumentationScope(semconv.SERVICE, version)

    def translate(self, data: SpanData) -> ReadableSpan:
        """Return the SDK's span of one that has ended."""
        context = _context(data.context)
        parent = None
        if data.parent_id:
            parent = api.SpanContext(
                context.trace_id,
                data.parent_id,
                data.has_remote_parent,
                context.trace_flags,
                context.trace_state,
            )
        return ReadableSpan(
            data.name,
            context,
            parent=parent,
            resource=self._resource,
            attributes=_attributes(data),
            links=[api.Link(_context(link)) for link in data.links],
            kind=_KINDS[data.kind],
            status=_ERROR if data.failed else _UNSET,
            start_time=data.start,
            end_time=data.end,
            instrumentation_scope=self._scope,
        )


def _context(context: TraceContext) -> api.SpanContext:
    state = _NO_STATE
    if context.tracestate:
        state = api.TraceState.from_header([context.tracestate])
    flags = api.TraceFlags.SAMPLED if context.sampled else api.TraceFlags.DEFAULT
    return api.SpanContext(
        context.trace_id, context.span_id, False, api.TraceFlags(flags), state
    )


def _attributes(data: SpanData) -> Attributes:
    if not data.dropped_attributes:
        return data.attributes
    # The SDK keeps the count in its own mapping, which here drops nothing itself.
    bounded = BoundedAttributes(attributes=data.attributes)
    bounded.dropped = data.dropped_attributes
    return bounded
