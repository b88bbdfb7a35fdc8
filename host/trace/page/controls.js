// Keyboard, wheel and pointer.
const zoom = (factor, at = .5) => view(from + (to - from) * at * (1 - factor), (to - from) * factor);
const move = by => view(from + by, to - from);
const whole = () => view(0, last);

function goTo(number) {
  if (!rows.length) return;
  current = Math.max(0, Math.min(rows.length - 1, number));
  const { start, end } = rows[current];
  if (end < from || start > to) view(start, to - from);
  // Below the axis, and above the details where they are open.
  const box = $("rows").getBoundingClientRect(), top = box.top + current * ROW;
  const least = $("axis").offsetHeight, most = innerHeight - ROW - ($("details").hidden ? 0 : $("details").offsetHeight);
  if (top < least || top > most) scrollBy(0, top - (least + most) / 2);
  if (!$("details").hidden) showDetails(rows[current]);
  drawRows();
}
function step(by) {
  const isHit = row => row.kind !== "group";
  for (let i = 1; i <= rows.length; i++) {
    const number = (current + by * i + rows.length * i) % rows.length;
    if (isHit(rows[number])) return goTo(number);
  }
}
function turn(number, open) {
  const row = rows[number];
  if (row?.open === undefined || row.open === open) return false;
  if (!turned.delete(row.key)) turned.add(row.key);
  refresh();
  return true;
}
function above(number) {
  for (let i = number - 1; i >= 0; i--) if (rows[i].level < rows[number].level) return i;
  return number;
}
function filter() {
  wanted.text = $("find").value.trim().toLowerCase();
  wanted.errors = $("errors").checked;
  wanted.least = +$("least").value;
  wanted.grouping = $("grouping").value;
  started = false;
  refresh();
}
// The first step after a change goes to the first row, not to the second.
let started = false;
function hit(by) {
  if (started || by < 0) step(by); else { current = -1; step(1); }
  started = true;
}
$("in").onclick = () => zoom(.5);
$("out").onclick = () => zoom(2);
$("all").onclick = whole;
$("save").onclick = () => save(found);
for (const id of ["find", "errors", "least", "grouping"]) $(id).oninput = filter;
$("find").onkeydown = event => { if (event.key === "Enter") hit(event.shiftKey ? -1 : 1); };
$("previous").onclick = () => hit(-1);
$("next").onclick = () => hit(1);
addEventListener("resize", draw);
addEventListener("scroll", draw, { passive: true });

const page = () => Math.max(1, Math.floor(innerHeight / ROW) - 4);
const keys = {
  ArrowDown: () => goTo(current + 1), ArrowUp: () => goTo(current - 1),
  PageDown: () => goTo(current + page()), PageUp: () => goTo(current - page()),
  Home: () => goTo(0), End: () => goTo(rows.length - 1),
  ArrowRight: () => turn(current, true) || goTo(rows[current]?.open ? current + 1 : current),
  ArrowLeft: () => turn(current, false) || goTo(above(current)),
  Enter: () => { showDetails(rows[current]); goTo(current); }, " ": () => keys.Enter(), Escape: closeDetails,
  "+": () => zoom(.5), "-": () => zoom(2), "0": whole,
};
const shifted = { ArrowRight: () => move((to - from) / 8), ArrowLeft: () => move((from - to) / 8), "+": keys["+"] };
$("rows").addEventListener("keydown", event => {
  const act = (event.shiftKey ? shifted : keys)[event.key];
  if (!act || event.ctrlKey || event.altKey || event.metaKey || !rows.length) return;
  event.preventDefault();
  started = true;
  act();
});
addEventListener("keydown", event => { if (event.key === "Escape" && $("details").contains(event.target)) closeDetails(); });

const placeOf = event => {
  const box = $("ticks").getBoundingClientRect();
  return event.target.closest?.("main") ? (event.clientX - box.left) / box.width : -1;
};
addEventListener("wheel", event => {
  // A wheel alone scrolls the page; Ctrl with it over the names zooms the page.
  const at = placeOf(event);
  if (!event.ctrlKey || at < 0) return;
  event.preventDefault();
  zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, at);
}, { passive: false });
let drag = null, moved = false;
addEventListener("pointerdown", event => { moved = false; if (placeOf(event) > 0) drag = event.clientX; });
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { drag = null; });
addEventListener("pointermove", event => {
  if (drag === null || Math.abs(event.clientX - drag) < 4 && !moved) return;
  moved = true;
  move((drag - event.clientX) / $("ticks").clientWidth * (to - from));
  drag = event.clientX;
});
$("rows").addEventListener("click", event => {
  const number = event.target.closest(".row")?.dataset.row;
  if (moved || number === undefined) return;
  current = +number;
  started = true;
  // A row of several spans opens at a click anywhere; one span at its sign alone.
  if (event.target.closest(".twisty") || rows[current].isMany && event.target.closest(".name")) turn(current);
  else showDetails(rows[current]);
  drawRows();
});
filter();
