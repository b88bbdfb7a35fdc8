# SPDX-License-Identifier: Apache-2.0
"""Sends the caller's trace context with each call of a client.

In a program that uses OpenTelemetry each call is a span below the current one, and is
the parent of the guest's span. In any other program the parent is the span that the
environment names: `TRACEPARENT`, as in OpenTelemetry's specification, "Environment
Variables as Context Propagation Carriers". OpenTelemetry is not imported for this. A
`traceparent` that the caller put into the metadata of a call stays as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kata_tracing import semconv
from kata_tracing.propagation import extract
from kata_tracing.trace_context import TRACEPARENT, TraceContext
from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.interceptor import Proceed


async def client_interceptor(
    request: Any, context: CallContext, proceed: Proceed
) -> Any:
    """Make one call of a client of `ttrpc.aio` inside a `client_span`."""
    with client_span(context):
        return await proceed(request, context)


@contextmanager
def client_span(context: CallContext) -> Iterator[None]:
    """Put the trace context for one call into its metadata, for a `with` block."""
    api: Any = sys.modules.get("opentelemetry.trace")
    if TRACEPARENT in context.metadata:
        yield
    elif api is not None:
        with _api_span(api, context):
            yield
    else:
        if (inherited := from_environment()) is not None:
            inject(context, inherited)
        yield


def inject(context: CallContext, trace: TraceContext) -> None:
    """Put a trace context into a call's metadata, in place of any that is there."""
    for key, value in trace.to_metadata().items():
        context.metadata.set(key, value)


def from_environment() -> TraceContext | None:
    """Return the span that started this process, None if the environment has none."""

    def values_of(key: str) -> list[str]:
        value = os.environ.get(key.upper().replace("-", "_"))
        return [] if value is None else [value]

    return extract(values_of)


@contextmanager
def _api_span(api: Any, context: CallContext) -> Iterator[None]:
    """Make a span by the program's OpenTelemetry. An error's text stays out of it."""
    name = context.method.full_method.lstrip("/")
    with api.get_tracer(semconv.CLIENT_SCOPE).start_as_current_span(
        name,
        context=_parent(api),
        kind=api.SpanKind.CLIENT,
        attributes={semconv.RPC_SYSTEM_NAME: semconv.TTRPC, semconv.RPC_METHOD: name},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        ours = span.get_span_context()
        if ours.is_valid:
            inject(context, _from_api(ours))
        try:
            yield
        except BaseException as error:
            code = getattr(error, "code", None)
            name = code.name if isinstance(code, Code) else type(error).__name__
            span.set_attribute(semconv.RPC_RESPONSE_STATUS_CODE, name)
            span.set_attribute(semconv.ERROR_TYPE, name)
            span.set_status(api.StatusCode.ERROR)
            raise
        span.set_attribute(semconv.RPC_RESPONSE_STATUS_CODE, Code.OK.name)


def _from_api(context: Any) -> TraceContext:
    return TraceContext(
        context.trace_id,
        context.span_id,
        context.trace_flags.sampled,
        context.trace_state.to_header(),
    )


def _parent(api: Any) -> Any:
    """Return the OpenTelemetry context to begin in; None is the current one."""
    inherited = from_environment()
    if inherited is None or api.get_current_span().get_span_context().is_valid:
        return None
    context = api.SpanContext(
        inherited.trace_id,
        inherited.span_id,
        is_remote=True,
        trace_flags=api.TraceFlags(int(inherited.sampled)),
        trace_state=api.TraceState.from_header([inherited.tracestate]),
    )
    return api.set_span_in_context(api.NonRecordingSpan(context))
