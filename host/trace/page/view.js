// Draws the rows that the window shows, and no other: there may be a hundred thousand.
const ROW = 28, TICK_PIXELS = 90, MIN_WIDTH = 10_000;
const $ = id => document.getElementById(id);

let from = 0, to = last;  // the part of the time that is shown
let rows = [], found = [];
let current = 0;          // the number of the row that the keyboard is on

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}
function makeRow(row, number) {
  const element = make("div", `row grid ${row.kind}${row.failed ? " failed" : ""}${number === current ? " current" : ""}`);
  element.setAttribute("role", "row");
  element.id = `row-${number}`;
  element.dataset.row = number;
  element.style.top = number * ROW + "px";
  element.setAttribute("aria-level", row.level);
  element.setAttribute("aria-rowindex", number + 1);
  element.setAttribute("aria-selected", String(number === current));
  const name = make("div", "name"), track = make("div", "track");
  name.setAttribute("role", "gridcell");
  track.setAttribute("role", "gridcell");
  name.style.paddingLeft = `calc(24px + ${Math.min(row.level - 1, 12)} * var(--indent))`;
  name.title = row.name;
  if (row.open !== undefined) {
    element.setAttribute("aria-expanded", String(row.open));
    const twisty = make("span", "twisty", row.open ? "▾" : "▸");
    twisty.setAttribute("aria-hidden", "true");
    name.append(twisty);
  }
  name.append(row.failed ? `✕ ${row.name}` : row.name);
  if (row.hint) name.append(" ", make("small", "", row.hint));
  const bar = make("div", "bar"), time = make("div", "time", row.time);
  place(row, bar, time);
  track.append(bar, time);
  element.append(name, track);
  return element;
}
function place({ start, end }, bar, time) {
  const scale = 100 / (to - from), left = (start - from) * scale, right = (end - from) * scale;
  // Cut at the edges, since a browser cannot draw a bar of any width.
  const begin = Math.min(101, Math.max(-1, left)), stop = Math.min(101, Math.max(-1, right));
  bar.style.left = begin + "%";
  bar.style.width = stop - begin + "%";
  // The duration is after its bar, before the bar or on the bar: the first with room.
  const fits = right <= 75, before = !fits && left > 25;
  time.classList.toggle("inside", !fits && !before);
  if (fits) time.style.left = Math.max(0, right) + "%";
  if (before) time.style.right = Math.min(100, 100 - left) + "%";
}
function drawRows() {
  const top = -$("rows").getBoundingClientRect().top;
  const begin = Math.max(0, Math.floor(top / ROW) - 3), count = Math.ceil(innerHeight / ROW) + 6;
  const shown = rows.slice(begin, begin + count).map((row, i) => makeRow(row, begin + i));
  // The row that assistive technology is on is there, wherever the window is.
  const isShown = current >= begin && current < begin + count;
  if (!isShown && rows[current]) shown.push(makeRow(rows[current], current));
  $("rows").replaceChildren(...shown);
  if (rows.length) $("rows").setAttribute("aria-activedescendant", `row-${current}`);
  else $("rows").removeAttribute("aria-activedescendant");
}
function drawAxis() {
  const pixels = Math.max(1, $("ticks").clientWidth), width = to - from;
  const least = width * TICK_PIXELS / pixels, power = 10 ** Math.floor(Math.log10(least));
  const step = power * [1, 2, 5, 10].find(n => n * power >= least);
  const origin = Math.ceil(from / step) * step, count = Math.min(pixels, (to - origin) / step);
  $("ticks").textContent = "";
  // Counted: at the times of a hostile guest, a time and a step may be the same time.
  for (let i = 0; i <= count; i++) {
    const time = origin + i * step, tick = make("span", "", human(time));
    tick.style.left = (time - from) / width * 100 + "%";
    $("ticks").append(tick);
  }
  document.body.style.setProperty("--step", step / width * pixels + "px");
  document.body.style.setProperty("--shift", (origin - from) / width * pixels + "px");
}
let drawing = false;
function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; drawRows(); drawAxis(); });
}
// Make the rows anew, with the current one on the row of the same key if it is there.
function refresh() {
  const key = rows[current]?.key;
  ({ rows, found } = makeRows());
  current = Math.max(0, rows.findIndex(row => row.key === key));
  $("rows").style.height = Math.max(1, rows.length) * ROW + "px";
  $("rows").setAttribute("aria-rowcount", rows.length);
  const all = `${spans.length} span${spans.length === 1 ? "" : "s"}`;
  const count = found.length < spans.length ? `${found.length} of ${all}` : all;
  const day = new Date(Number(BigInt(first) / 1_000_000n)).toISOString().replace("T", " ").replace("Z", " UTC");
  const left = bare ? `, ${bare} without attributes, because there were too many` : "";
  $("summary").textContent = spans.length ? `${count}, ${human(last)}, ${day}${left}` : "no spans";
  draw();
}
function view(start, width) {
  width = Math.min(last, Math.max(Math.min(MIN_WIDTH, last), width));
  from = Math.max(0, Math.min(last - width, start));
  to = from + width;
  draw();
}
function showDetails(row) {
  const panel = $("details"), [span] = row.spans, list = make("dl");
  const facts = row.isMany ? detailsOfMany(row) : detailsOfOne(span);
  for (const [key, value] of facts) if (value) list.append(make("dt", "", key), make("dd", "", value));
  const zoomIn = make("button", "", "Zoom to it"), close = make("button", "", "Close");
  zoomIn.onclick = () => view(row.start - (row.end - row.start) * .1, (row.end - row.start) * 1.3);
  close.onclick = closeDetails;
  const buttons = make("div", "controls");
  buttons.append(zoomIn, close);
  panel.replaceChildren(make("h2", "", row.name), buttons, list);
  panel.hidden = false;
}
const detailsOfOne = span => [
  ["name", span.name], ["start", "+" + human(span.start)], ["duration", human(span.duration)],
  ["trace", span.trace], ["span", span.id], ["service", span.service], ...attributesOf(span),
  ...[...pairs(span.events)].map(([name, time]) => ["event +" + human(time), shared[name]]),
];
function detailsOfMany({ spans, start, end, time }) {
  let shortest = Infinity, longest = 0;
  for (const { duration } of spans) {
    shortest = Math.min(shortest, duration);
    longest = Math.max(longest, duration);
  }
  return [
    ["spans", String(spans.length)], ["start", "+" + human(start)], ["from first to last", human(end - start)],
    ["sum of durations", time], ["shortest", human(shortest)], ["longest", human(longest)],
  ];
}
function closeDetails() {
  $("details").hidden = true;
  $("rows").focus({ preventScroll: true });
}
