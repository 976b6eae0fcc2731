// The charts of a page: they are drawn when they come near the screen and given up when they are far away, so that a
// run with thousands of metrics costs no more than what is looked at. What the toolbar says is kept in the address.
import { Chart } from "./chart.js";
import { Source } from "./numbers.js";

const NEAR = "600px";
const root = document.querySelector("[data-charts]");
const toolbar = root?.querySelector("[data-toolbar]");

if (toolbar) start();

function start() {
  restore();
  const figures = [...root.querySelectorAll(".chart")];
  const lines = [...root.querySelectorAll("[data-line]")].map(lineOf);
  const charts = new Map(figures.map((figure) => [figure, null]));
  const open = new Set();
  const watcher = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => {
    const chart = charts.get(target) ?? new Chart(target, lines);
    charts.set(target, chart);
    if (isIntersecting && !open.has(chart)) chart.show(look());
    else if (!isIntersecting && open.has(chart)) chart.close();
    open[isIntersecting ? "add" : "delete"](chart);
  }), { rootMargin: NEAR });
  figures.forEach((figure) => watcher.observe(figure));

  const change = () => {
    const now = look();
    keep();
    open.forEach((chart) => chart.show(now));
  };
  toolbar.addEventListener("input", (event) => (event.target.name === "q" ? search(figures) : change()));
  toolbar.addEventListener("submit", (event) => event.preventDefault());
  root.querySelector(".legend").addEventListener("change", () => { open.forEach((chart) => chart.redraw()); });
  document.addEventListener("run-changed", ({ detail }) => { if (detail.changed) open.forEach((chart) => chart.load()); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { open.forEach((chart) => chart.redraw()); });
  let waiting;
  let width = root.clientWidth;
  new ResizeObserver(() => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    clearTimeout(waiting);
    waiting = setTimeout(() => { open.forEach((chart) => chart.redraw()); }, 150);
  }).observe(root);
  search(figures);
}

function lineOf(item, number) {
  const box = item.querySelector("input");
  return {
    name: item.querySelector("a")?.textContent ?? item.textContent,
    number,
    source: new Source(item.dataset.line, root.dataset.stream),
    shown: () => !box || box.checked,
  };
}

function look() {
  const { axis, smooth, log } = toolbar.elements;
  toolbar.querySelector("output").textContent = Number(smooth.value) ? smooth.value : "0";
  return { axis: axis.value, smooth: Number(smooth.value), log: log.checked };
}

function restore() {
  const query = new URLSearchParams(location.search);
  const { q, axis, smooth, log } = toolbar.elements;
  if ([...axis.options].some((option) => option.value === query.get("axis"))) axis.value = query.get("axis");
  if (query.has("smooth")) smooth.value = query.get("smooth");
  log.checked = query.get("log") === "1";
  q.value = query.get("q") ?? "";
}

function keep() {
  const query = new URLSearchParams(location.search);
  const { q, axis, smooth, log } = toolbar.elements;
  const state = { q: q.value, axis: axis.selectedIndex ? axis.value : "", smooth: Number(smooth.value) ? smooth.value : "", log: log.checked ? "1" : "" };
  for (const [name, value] of Object.entries(state)) if (value) query.set(name, value); else query.delete(name);
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}

// Leaves those charts whose key has the text in it, and opens their groups.
function search(figures) {
  const text = toolbar.elements.q.value.trim().toLowerCase();
  let count = 0;
  for (const figure of figures) {
    figure.hidden = !figure.dataset.key.toLowerCase().includes(text);
    count += figure.hidden ? 0 : 1;
  }
  for (const group of root.querySelectorAll(".group")) {
    const some = group.querySelector(".chart:not([hidden])") !== null;
    group.hidden = !some;
    if (text && some) group.open = true;
  }
  toolbar.querySelector(".found").textContent = text ? `${count} found` : "";
  keep();
}
