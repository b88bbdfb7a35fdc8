// Spans as OTLP/JSON, a batch a line: the form that `kata-agent-ctl trace --from` reads.
const BATCH = 1000, LAST_TIME = 2n ** 64n - 1n;

// A time as OTLP has it. One that is far from the first is rounded, maybe too far up.
function timeOf(ns) {
  const time = BigInt(first) + BigInt(ns);
  return String(time > LAST_TIME ? LAST_TIME : time);
}
function toOtlp(span) {
  const result = {
    traceId: span.trace, spanId: span.id, name: span.name, kind: span.kind,
    startTimeUnixNano: timeOf(span.start), endTimeUnixNano: timeOf(span.end),
    attributes: [...pairs(span.attributes)].map(([key, value]) => ({ key: shared[key], value: shared[value] })),
    events: [...pairs(span.events)].map(([name, time]) =>
      ({ name: shared[name], timeUnixNano: timeOf(time) })),
    status: span.failed ? { code: 2 } : {},
  };
  if (span.parentId) result.parentSpanId = span.parentId;
  return result;
}
function* toLines(spans) {
  const services = new Map();
  for (const span of spans)
    services.get(span.service)?.push(span) ?? services.set(span.service, [span]);
  for (const [service, all] of services) {
    const resource = { attributes: service ? [{ key: "service.name", value: { stringValue: service } }] : [] };
    for (let i = 0; i < all.length; i += BATCH)
      yield JSON.stringify({ resourceSpans: [{ resource,
        scopeSpans: [{ spans: all.slice(i, i + BATCH).map(toOtlp) }] }] }) + "\n";
  }
}
function save(spans) {
  const link = document.createElement("a");
  const address = URL.createObjectURL(new Blob([...toLines(spans)], { type: "application/x-ndjson" }));
  link.href = address;
  link.download = "spans.jsonl";
  link.click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
