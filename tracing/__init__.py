# SPDX-License-Identifier: Apache-2.0
"""Spans in the guest: how they are made, and how they leave it.

    span.py                span() and add_span(), for all code that does work
    semconv.py             the rule for names, and every attribute key
    tracing.py             switches tracing on and off
    server_interceptor.py  one span for each call
    propagation.py         the caller's trace context, read from a call's metadata

    tracer.py              makes spans while tracing is on
    open_span.py           a span that has not ended
    span_data.py           its plain data, handed to the trace port when it ends
    trace_port.py          the queue, the spool and the thread that sends
    sdk_translator.py      span data as OpenTelemetry's SDK has it
    encoding/              a batch of spans as OTLP or as Jaeger Thrift
    collector.py           the connection to the collector, which speaks http1/

TRACING.md describes modes, spans and the wire. `kata_host.forwarder` receives spans
on the host, `kata_host.trace` shows them.
"""
