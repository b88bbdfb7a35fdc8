"use strict";
// The spans of the page. Times are nanoseconds since the first start.
const { first, fold: FOLD, bare, shared, spans: table } =
  JSON.parse(document.getElementById("data").textContent);
const KINDS = ["step", "step", "server", "client", "step", "step"];

// Fields as page_data.py writes them; those from `hint` on may be left out.
const spans = [];
for (const [above, name, trace, id, parentId, start, duration, kind, failed,
            hint, service, container, attributes = [], events = []] of table) {
  const parent = spans[above];
  spans.push({
    parent, name: shared[name], trace: shared[trace], id,
    parentId: parent ? parent.id : parentId, start, duration, end: start + duration, kind,
    failed: failed === 1, hint: shared[hint] ?? "", service: shared[service] ?? "",
    container: shared[container] || parent?.container || "", attributes, events,
  });
}
const last = spans.reduce((time, span) => Math.max(time, span.end), 1);

function human(ns) {
  if (ns >= 1e9) return +(ns / 1e9).toPrecision(4) + " s";
  if (ns >= 1e6) return +(ns / 1e6).toPrecision(4) + " ms";
  return +(ns / 1e3).toPrecision(3) + " µs";
}
// The text of an attribute's value in the form of OTLP/JSON.
function plain(value) {
  const [kind, content] = Object.entries(value)[0];
  if (kind === "arrayValue") return `[${content.values.map(plain).join(", ")}]`;
  if (kind === "kvlistValue") return `{${content.values.map(it => `${it.key}: ${plain(it.value)}`).join(", ")}}`;
  return String(content);
}
// The list [a, b, c, d] as pairs [a, b], [c, d].
function* pairs(list) {
  for (let i = 0; i < list.length; i += 2) yield [list[i], list[i + 1]];
}
const attributesOf = span =>
  [...pairs(span.attributes)].map(([key, value]) => [shared[key], plain(shared[value])]);
// All that "find" looks at, in lower case.
function textOf(span) {
  span.text ??= [span.name, span.trace, span.id, ...attributesOf(span).flat()].join("\n").toLowerCase();
  return span.text;
}
