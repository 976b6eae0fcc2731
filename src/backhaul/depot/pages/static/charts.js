"use strict";
// Draws one chart per figure. All text goes in as text: metric names are what users typed.

const REFRESH = 5000;
const palette = () => {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return { ink: read("--soft"), line: read("--line"), accent: read("--accent") };
};

function options(figure, stream, width) {
  const colours = palette();
  const axis = { stroke: colours.ink, grid: { stroke: colours.line, width: 1 }, ticks: { stroke: colours.line, width: 1, size: 4 } };
  return {
    width, height: 195, padding: [8, 12, 0, 0],
    scales: { x: { time: false } },
    axes: [{ ...axis, size: 30, space: 60 }, { ...axis, size: 56 }],
    cursor: { points: { size: 6 } },
    legend: { markers: { show: false } },
    series: [
      { label: stream === "system" ? "seconds" : "step" },
      { label: "value", stroke: colours.accent, width: 1.6, spanGaps: true, points: { show: figure.points < 40 } },
    ],
  };
}

function draw(figure, data, stream) {
  const place = figure.querySelector(".plot");
  if (figure.plot) {
    figure.plot.setData([data.x, data.y]);
    return;
  }
  if (!data.x.length) {
    place.replaceChildren(Object.assign(document.createElement("p"), { className: "hint", textContent: "No finite values." }));
    return;
  }
  figure.points = data.x.length;
  place.replaceChildren();
  figure.plot = new uPlot(options(figure, stream, place.clientWidth), [data.x, data.y], place);
}

async function load(charts) {
  const figures = [...charts.querySelectorAll(".chart")];
  for (let start = 0; start < figures.length; start += 32) {
    const group = figures.slice(start, start + 32);
    const query = new URLSearchParams({ points: "800", stream: charts.dataset.stream });
    group.forEach((figure) => query.append("key", figure.dataset.key));
    const answer = await fetch(`${charts.dataset.path}/series/json?${query}`);
    if (!answer.ok) throw new Error(`the depot answered ${answer.status}`);
    const { series } = await answer.json();
    group.forEach((figure) => draw(figure, series[figure.dataset.key], charts.dataset.stream));
  }
  charts.dataset.drawn = "yes";
}

async function keep(charts) {
  try {
    await load(charts);
  } catch (error) {
    charts.dataset.drawn = "failed";
    console.warn(error);
  }
  if (charts.dataset.live === "yes") setTimeout(keep, REFRESH, charts);
}

function redraw() {
  document.querySelectorAll(".chart").forEach((figure) => {
    if (!figure.plot) return;
    const data = { x: figure.plot.data[0], y: figure.plot.data[1] };
    const stream = figure.closest(".charts").dataset.stream;
    figure.plot.destroy();
    figure.plot = null;
    draw(figure, data, stream);
  });
}

document.querySelectorAll(".charts").forEach((charts) => {
  const hidden = charts.closest("details");
  if (!hidden) keep(charts);
  else hidden.addEventListener("toggle", () => hidden.open && !charts.dataset.drawn && keep(charts));
});
let waiting;
window.addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(redraw, 150); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
