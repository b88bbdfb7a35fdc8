// Which rows there are: spans that are wanted, in groups, equal ones as one row.
const wanted = { text: "", errors: false, least: 0, grouping: "" };
// Rows that are not as they are at first: a fold is closed then, all others are open.
const turned = new Set();

const isWanted = span =>
  (!wanted.errors || span.failed) && span.duration >= wanted.least
  && (!wanted.text || textOf(span).includes(wanted.text));
const groupOf = span => wanted.grouping ? span[wanted.grouping] : "";
const equalityOf = span => [span.failed, span.name, span.hint].join("\n");
const isOpen = (key, atFirst) => turned.has(key) !== atFirst;

function makeRows() {
  // A span is below the nearest of those above it that is wanted and in its group.
  const found = spans.filter(isWanted), below = new Map(), groups = new Map();
  const shown = new Set(found);
  for (const span of found) {
    let above = span.parent;
    while (above && !(shown.has(above) && groupOf(above) === groupOf(span))) above = above.parent;
    const [map, key] = above ? [below, above] : [groups, groupOf(span)];
    map.get(key)?.push(span) ?? map.set(key, [span]);
  }
  const rows = [];
  for (const [group, roots] of groups) {
    if (!wanted.grouping) addRows(rows, roots, below, 1);
    else addGroup(rows, group, roots, below);
  }
  return { rows, found };
}
function addGroup(rows, group, roots, below) {
  const key = `group ${group}`, open = isOpen(key, true);
  const name = `${wanted.grouping} ${group || "none"}`;
  rows.push({ ...extent(roots), kind: "group", name, hint: "", level: 1, key, open, failed: false });
  if (open) addRows(rows, roots, below, 2);
}
function addRows(rows, siblings, below, level) {
  const equals = new Map();
  for (const span of siblings) {
    const key = equalityOf(span);
    equals.get(key)?.push(span) ?? equals.set(key, [span]);
  }
  for (const span of siblings) {
    const equal = equals.get(equalityOf(span));
    if (equal.length < FOLD) addSpan(rows, span, below, level);
    else if (equal[0] === span) addFold(rows, equal, below, level);
  }
}
function addFold(rows, equal, below, level) {
  const [{ name, hint, failed, id, trace, kind }] = equal, key = `fold ${trace} ${id}`, open = isOpen(key, false);
  rows.push({ ...extent(equal), kind: `many ${KINDS[kind]}`, name: `${shortName(name)} × ${equal.length}`, hint, failed, level, key, open });
  if (open) for (const span of equal) addSpan(rows, span, below, level + 1);
}
function addSpan(rows, span, below, level) {
  const children = below.get(span), key = span;
  const open = children && isOpen(key, true);
  const kind = KINDS[span.kind];
  rows.push({ spans: [span], start: span.start, end: span.end, time: human(span.duration), kind,
    name: shortName(span.name), hint: span.hint, failed: span.failed, level, key, open });
  if (open) addRows(rows, children, below, level + 1);
}
// Several spans on one row: from the first start to the last end; their time is the sum.
function extent(spans) {
  let start = Infinity, end = 0, sum = 0;
  for (const span of spans) {
    start = Math.min(start, span.start);
    end = Math.max(end, span.end);
    sum += span.duration;
  }
  return { spans, start, end, time: human(sum), isMany: true };
}
const shortName = name => name.replace(/^grpc\.AgentService\//, "");
