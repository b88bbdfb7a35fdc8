# SPDX-License-Identifier: Apache-2.0
"""Jaeger's batches, read by thriftpy2: a decoder that shares nothing with ours."""

from __future__ import annotations

from typing import Any

import thriftpy2.protocol.binary
import thriftpy2.transport.memory
from thriftpy2.thrift import TPayload, TType


def struct(name: str, *fields: tuple[int, str, Any]) -> type:
    """A Thrift structure, declared by hand from the text of Jaeger's IDL."""
    spec = {
        number: (kind[0], label, kind[1], False)
        if isinstance(kind, tuple)
        else (kind, label, False)
        for number, label, kind in fields
    }
    defaults = [(label, None) for _, label, _ in fields]
    return type(name, (TPayload,), {"thrift_spec": spec, "default_spec": defaults})


I32, I64, STR = TType.I32, TType.I64, TType.STRING
Tag = struct(
    "Tag",
    (1, "key", STR),
    (2, "vType", I32),
    (3, "vStr", STR),
    (4, "vDouble", TType.DOUBLE),
    (5, "vBool", TType.BOOL),
    (6, "vLong", I64),
    (7, "vBinary", STR),
)
TAGS = (TType.LIST, (TType.STRUCT, Tag))
Log = struct("Log", (1, "timestamp", I64), (2, "fields", TAGS))
SpanRef = struct(
    "SpanRef",
    (1, "refType", I32),
    (2, "traceIdLow", I64),
    (3, "traceIdHigh", I64),
    (4, "spanId", I64),
)
Span = struct(
    "Span",
    (1, "traceIdLow", I64),
    (2, "traceIdHigh", I64),
    (3, "spanId", I64),
    (4, "parentSpanId", I64),
    (5, "operationName", STR),
    (6, "references", (TType.LIST, (TType.STRUCT, SpanRef))),
    (7, "flags", I32),
    (8, "startTime", I64),
    (9, "duration", I64),
    (10, "tags", TAGS),
    (11, "logs", (TType.LIST, (TType.STRUCT, Log))),
)
Process = struct("Process", (1, "serviceName", STR), (2, "tags", TAGS))
Batch = struct(
    "Batch",
    (1, "process", (TType.STRUCT, Process)),
    (2, "spans", (TType.LIST, (TType.STRUCT, Span))),
)


def decode(body: bytes) -> Any:
    """Return the `Batch` in the body of a request."""
    batch = Batch()
    memory = thriftpy2.transport.memory.TMemoryBuffer(body)
    thriftpy2.protocol.binary.TBinaryProtocol(memory).read_struct(batch)
    return batch
