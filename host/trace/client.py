# SPDX-License-Identifier: Apache-2.0
"""The caller's side: whose children the guest's spans are to be.

In a program that uses OpenTelemetry each call gets a span, below the current one.
In any other, the parent is what its environment names: `TRACEPARENT`, as
OpenTelemetry's specification has it ("Environment Variables as Context Propagation
Carriers"). Nothing is imported for it. What the caller put into the metadata of a
call itself is left alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kata_tracing import semconv
from kata_tracing.propagation import TRACEPARENT, TraceContext, extract
from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.interceptor import Proceed


async def client_interceptor(
    request: Any, context: CallContext, proceed: Proceed
) -> Any:
    """Send the caller's span along with each call of a client of `ttrpc.aio`."""
    with _calling(context):
        return await proceed(request, context)


def sync_client_interceptor(request: Any, context: CallContext, proceed: Any) -> Any:
    """Do the same for a client of `ttrpc.sync`."""
    with _calling(context):
        return proceed(request, context)


def inject(context: CallContext, sent: TraceContext) -> None:
    """Put a trace context into a call's metadata, in place of what is there."""
    for key, value in sent.to_metadata().items():
        context.metadata.set(key, value)


def from_environment() -> TraceContext | None:
    """Return the span that this process was started by, None when nobody says."""

    def values(key: str) -> list[str]:
        value = os.environ.get(key.upper().replace("-", "_"))
        return [] if value is None else [value]

    return extract(values)


@contextmanager
def _calling(context: CallContext) -> Iterator[None]:
    api: Any = sys.modules.get("opentelemetry.trace")
    if TRACEPARENT in context.metadata:
        yield
    elif api is not None:
        with _call_span(api, context):
            yield
    else:
        if (inherited := from_environment()) is not None:
            inject(context, inherited)
        yield


@contextmanager
def _call_span(api: Any, context: CallContext) -> Iterator[None]:
    """Make a span with the caller's OpenTelemetry; an error without its text."""
    name = context.method.full_method.lstrip("/")
    with api.get_tracer(semconv.CLIENT_SCOPE).start_as_current_span(
        name,
        context=_parent(api),
        kind=api.SpanKind.CLIENT,
        attributes={semconv.RPC_SYSTEM_NAME: semconv.TTRPC, semconv.RPC_METHOD: name},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        sent = span.get_span_context()
        if sent.is_valid:
            inject(context, _from_api(sent))
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


def _from_api(sent: Any) -> TraceContext:
    return TraceContext(
        sent.trace_id,
        sent.span_id,
        sent.trace_flags.sampled,
        sent.trace_state.to_header(),
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
