# SPDX-License-Identifier: Apache-2.0
"""Tracing: spans in the guest, the port they leave by, and who takes them.

    span.py          the switch, and the no-op that everybody imports
    interceptor.py   one span a call, and the caller's context
    propagation.py   traceparent, tracestate and uber-trace-id, without OpenTelemetry
    setup.py         on and off
    tracer.py        records spans, as the plain data of data.py
    sdk.py           OpenTelemetry's spans of them: imported when tracing goes on
    port.py          the trace port: queue, spool, sender thread
    encoding/        OTLP and Jaeger Thrift
    semconv.py       every name of a span and of an attribute

    forwarder/       host: takes spans off the trace port
    tree.py html.py  host: shows them

TRACING.md describes modes, spans and wire format.
"""
