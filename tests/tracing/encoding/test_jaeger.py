# SPDX-License-Identifier: Apache-2.0
"""Jaeger's encoding holds the same as OTLP's, by two decoders that are not ours."""

import json
import pickle
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from kata_host.trace.received_span import ReceivedSpan, SpanStatus, from_otlp
from kata_tracing.encoding.load_encoding import load_encoding
from kata_tracing.span_kind import SpanKind
from tests.helpers.jaeger import decode
from tests.tracing.encoding.samples import samples

JAEGER_KINDS = {SpanKind.SERVER: "server", SpanKind.CLIENT: "client"}


def expected() -> list[dict[str, Any]]:
    """The values that Jaeger should read, worked out from the OTLP encoding."""
    body = load_encoding("otlp").encode(samples())
    request = ExportTraceServiceRequest.FromString(body)
    scope = request.resource_spans[0].scope_spans[0].scope
    raw = request.resource_spans[0].scope_spans[0].spans
    return [
        as_jaeger(span, it, scope.name, scope.version)
        for span, it in zip(from_otlp(request), raw, strict=True)
    ]


def as_jaeger(
    span: ReceivedSpan, message: Any, scope: str, version: str
) -> dict[str, Any]:
    tags: dict[str, Any] = {
        key: json.dumps(value) if isinstance(value, list) else value
        for key, value in span.attributes.items()
    }
    tags |= {"otel.scope.name": scope, "otel.scope.version": version}
    if span.kind in JAEGER_KINDS:
        tags["span.kind"] = JAEGER_KINDS[span.kind]
    if span.status is SpanStatus.ERROR:
        tags |= {"otel.status_code": "ERROR", "error": True}
    if message.trace_state:
        tags["w3c.tracestate"] = message.trace_state
    if message.dropped_attributes_count:
        tags["otel.dropped_attributes_count"] = message.dropped_attributes_count
    return {
        "trace": span.trace_id,
        "span": span.span_id,
        "parent": span.parent_id,
        "name": span.name,
        "flags": 1,
        "start": span.start // 1000,
        "duration": span.duration // 1000,
        "tags": tags,
        "references": [(trace, span_id) for trace, span_id in span.links],
    }


def readable(batch: Any) -> list[dict[str, Any]]:
    """A decoded Batch as plain values, of either decoder's classes."""

    def unsigned(number: int) -> str:
        return f"{number & (1 << 64) - 1:016x}"

    def value(tag: Any) -> Any:
        return (tag.vStr, tag.vDouble, tag.vBool, tag.vLong, tag.vBinary)[tag.vType]

    def values(tags: Any) -> dict[str, Any]:
        return {tag.key: value(tag) for tag in tags or ()}

    assert batch.process.serviceName == "kata-agent"
    assert values(batch.process.tags)["process.pid"] == 1
    return [
        {
            "trace": unsigned(span.traceIdHigh) + unsigned(span.traceIdLow),
            "span": unsigned(span.spanId),
            "parent": unsigned(span.parentSpanId) if span.parentSpanId else "",
            "name": span.operationName,
            "flags": span.flags,
            "start": span.startTime,
            "duration": span.duration,
            "tags": values(span.tags),
            "references": [
                (
                    unsigned(ref.traceIdHigh) + unsigned(ref.traceIdLow),
                    unsigned(ref.spanId),
                )
                for ref in span.references or ()
                if ref.refType == 1  # FOLLOWS_FROM
            ],
        }
        for span in batch.spans
    ]


def test_thriftpy2_decodes_the_same() -> None:
    body = load_encoding("jaeger").encode(samples())
    assert readable(decode(body)) == expected()


def test_jaeger_client_decodes_the_same() -> None:
    """By its own server stub, in a process of its own: it imports all of Tornado."""
    body = load_encoding("jaeger").encode(samples())
    # emitBatch_args{1: batch}: a field header before, a stop byte after.
    arguments = b"\x0c\x00\x01" + body + b"\x00"
    script = (
        "import pickle, sys, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from jaeger_client.thrift_gen.agent.Agent import emitBatch_args\n"
        "from thrift.protocol.TBinaryProtocol import TBinaryProtocol\n"
        "from thrift.transport.TTransport import TMemoryBuffer\n"
        "def plain(o):\n"
        "    if isinstance(o, list): return [plain(i) for i in o]\n"
        "    if not hasattr(o, '__dict__'): return o\n"
        "    return {k: plain(v) for k, v in vars(o).items()}\n"
        "args = emitBatch_args()\n"
        "args.read(TBinaryProtocol(TMemoryBuffer(sys.stdin.buffer.read())))\n"
        "sys.stdout.buffer.write(pickle.dumps(plain(args.batch)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=arguments, check=True, capture_output=True
    )
    assert readable(_namespace(pickle.loads(done.stdout))) == expected()


def _namespace(value: Any) -> Any:
    if isinstance(value, list):
        return [_namespace(item) for item in value]
    if isinstance(value, dict):
        return SimpleNamespace(**{key: _namespace(it) for key, it in value.items()})
    return value
