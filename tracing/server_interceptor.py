# SPDX-License-Identifier: Apache-2.0
"""One span for each call that a server serves.

    proceed()  ──►  [span: grpc.AgentService/CreateContainer]  ──►  handler

Of the request only its ids become attributes, because environments hold secrets.
`kata_host.trace.client_interceptor` is the caller's side.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from kata_tracing import semconv
from kata_tracing.tracing import TraceType, Tracing
from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.errors import StatusError
from ttrpc.interceptor import Interceptor, Proceed, eager

if TYPE_CHECKING:
    from kata_tracing.attributes import Attribute
    from kata_tracing.open_span import OpenSpan
    from kata_tracing.tracer import Tracer

StatusOf = Callable[[BaseException], StatusError]
"""Return the status that the server sends for an exception."""

UNTRACED: Final = frozenset({"StartTracing", "StopTracing"})
"""Methods that switch tracing, and so would be half in a trace."""
LONG_POLLS: Final = frozenset(
    {"GetOOMEvent", "WaitProcess", "ReadStdout", "ReadStderr"}
)
"""Methods that may wait for as long as the VM lives. No span waits with them: their
span is made when they return, and starts when the call came."""
INTERACTIVE: Final = frozenset({"ReadStdout", "ReadStderr", "WriteStdin"})
IDS: Final = {
    "sandbox_id": semconv.SANDBOX_ID,
    "container_id": semconv.CONTAINER_ID,
    "exec_id": semconv.EXEC_ID,
}
"""The fields of requests that become attributes."""
SERVER_FAULTS: Final = frozenset(
    {
        Code.UNKNOWN,
        Code.DEADLINE_EXCEEDED,
        Code.UNIMPLEMENTED,
        Code.INTERNAL,
        Code.UNAVAILABLE,
        Code.DATA_LOSS,
    }
)
"""Codes that make a server's span an error. The caller causes all others (semantic
conventions, RPC spans)."""


def server_interceptor(tracing: Tracing, status_of: StatusOf) -> Interceptor:
    """Return the interceptor that opens a span around each call of a server.

    When tracing is off, it costs one branch and one more frame. `status_of` is the
    server's own, such as `kata_agent.rpc.status.to_status`.
    """

    @eager
    async def traced(request: Any, context: CallContext, proceed: Proceed) -> Any:
        tracer, name = tracing.tracer, context.method.name
        if tracer is None:
            response = await proceed(request, context)
        elif name in UNTRACED:
            response = await proceed(request, context)
        elif name in LONG_POLLS:
            response = await _long_poll(tracing, request, context, proceed, status_of)
        else:
            span = _begin(tracing, tracer, request, context)
            try:
                response = await _observe(span, request, context, proceed, status_of)
            finally:
                if name == "DestroySandbox":
                    # The runtime may kill the VM as soon as it has the answer.
                    await tracing.flush()
        if name == "CreateSandbox":
            tracing.sandbox_id = request.sandbox_id
        return response

    return traced


def _begin(
    tracing: Tracing,
    tracer: Tracer,
    request: Any,
    context: CallContext,
    start: int | None = None,
) -> OpenSpan:
    method = context.method
    name = method.full_method.lstrip("/")
    attributes: dict[str, Attribute] = {
        semconv.SUBSYSTEM: semconv.RPC_SUBSYSTEM,
        semconv.SOURCE: semconv.AGENT,
        semconv.RPC_SYSTEM_NAME: semconv.TTRPC,
        semconv.RPC_METHOD: name,
    }
    if method.name in INTERACTIVE:
        attributes[semconv.API_CATEGORY] = semconv.INTERACTIVE
    for field, key in IDS.items():
        if value := getattr(request, field, ""):
            attributes[key] = value
    caller = None
    if tracing.trace_type is TraceType.COLLATED:
        # Imported here, because most agents never need it.
        from kata_tracing.propagation import extract

        caller = extract(context.metadata.get_all)
    return tracer.begin_call(name, attributes, caller, start=start)


async def _observe(
    span: OpenSpan,
    request: Any,
    context: CallContext,
    proceed: Proceed,
    status_of: StatusOf,
) -> Any:
    response, failure = None, None
    with span:
        try:
            response = await proceed(request, context)
        except BaseException as error:
            failure = error
        _conclude(span, failure, status_of)
    if failure is not None:
        raise failure
    return response


async def _long_poll(
    tracing: Tracing,
    request: Any,
    context: CallContext,
    proceed: Proceed,
    status_of: StatusOf,
) -> Any:
    arrived = time.monotonic_ns()
    response, failure = None, None
    try:
        response = await proceed(request, context)
    except BaseException as error:
        failure = error
        raise
    finally:
        if (tracer := tracing.tracer) is not None:
            span = _begin(tracing, tracer, request, context, arrived)
            _conclude(span, failure, status_of)
            span.end()
    return response


def _conclude(
    span: OpenSpan, failure: BaseException | None, status_of: StatusOf
) -> None:
    code: Code | int
    if failure is None:
        code = Code.OK
    elif isinstance(failure, asyncio.CancelledError | GeneratorExit):
        code = Code.CANCELLED
    else:
        code = status_of(failure).code
    name = code.name if isinstance(code, Code) else str(code)
    span.set_attribute(semconv.RPC_RESPONSE_STATUS_CODE, name)
    if code in SERVER_FAULTS:
        span.fail(name)
