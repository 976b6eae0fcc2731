// One chart: a metric of one or several runs. All text goes in as text, for metric names are what users typed.
import { clock, short, smoothed } from "./numbers.js";

export const AXES = { step: "_step", relative: "_runtime", wall: "_timestamp" };
const NUDGE = 0.2; // part of the width by which a key moves the view

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const made = (tag, properties) => Object.assign(document.createElement(tag), properties);

export class Chart {
  // `lines` are {source, name, number, shown}.
  constructor(figure, lines) {
    this.figure = figure;
    this.key = figure.dataset.key;
    this.lines = lines;
    this.look = null; // what the toolbar says: {axis, smooth, log}
    this.place = figure.querySelector(".plot");
    this.range = null; // what is zoomed to
    this.data = null; // per line {x, y}
    this.plot = null;
    this.asked = 0;
    this.#dress();
  }

  #dress() {
    const caption = this.figure.querySelector("figcaption");
    const title = made("span", { textContent: this.key, title: this.key });
    this.last = made("span", { className: "last" });
    this.back = made("button", { type: "button", textContent: "Reset zoom", hidden: true });
    this.wide = made("button", { type: "button", textContent: "Expand" });
    this.back.addEventListener("click", () => this.zoom(null));
    this.wide.addEventListener("click", () => this.#expand());
    caption.replaceChildren(title, this.last, this.back, this.wide);
    this.wide.setAttribute("aria-label", `Expand ${this.key}`);
    this.note = made("p", { className: "note", hidden: true });
    this.tip = made("div", { className: "tip", hidden: true });
    this.tip.setAttribute("role", "status");
    this.place.tabIndex = 0;
    this.place.setAttribute("role", "group");
    this.place.setAttribute("aria-label", `${this.key}, chart`);
    this.place.setAttribute("aria-describedby", "chart-keys");
    this.place.addEventListener("keydown", (event) => this.#press(event));
    this.figure.append(this.note);
  }

  #expand() {
    const big = this.figure.classList.toggle("big");
    this.wide.textContent = big ? "Shrink" : "Expand";
    this.redraw();
    this.load();
  }

  // Gets the numbers for what is shown now, then draws them.
  async load() {
    const turn = ++this.asked;
    const view = { axis: AXES[this.look.axis], points: String(Math.min(4000, Math.max(400, 2 * this.place.clientWidth))) };
    if (this.range) Object.assign(view, { from: String(this.range[0]), to: String(this.range[1]) });
    try {
      const found = await Promise.all(this.lines.map(({ source }) => source.wanted(this.key, view)));
      if (turn !== this.asked) return; // asked again meanwhile
      this.data = found;
      this.redraw();
      this.figure.dataset.drawn = this.range ? "zoomed" : "yes";
    } catch (error) {
      if (turn !== this.asked) return;
      this.figure.dataset.drawn = "failed";
      if (!this.plot) this.#say("The numbers could not be got.");
      console.info(error);
    }
  }

  zoom(range) {
    this.range = range;
    this.back.hidden = !range;
    this.figure.dataset.drawn = "no";
    if (range && this.plot) this.plot.setScale("x", { min: range[0], max: range[1] });
    this.load();
  }

  // Draws as the toolbar says; a range on one axis means nothing on another.
  show(look) {
    const moved = this.look?.axis !== look.axis;
    this.look = look;
    if (moved) this.zoom(null);
    else if (this.data) this.redraw();
    else this.load();
  }

  redraw() {
    if (!this.data) return;
    this.#drop();
    const shown = this.lines.map((line, place) => ({ ...line, ...this.data[place] })).filter((line) => line.shown() && line.x.length);
    if (!shown.length) return this.#say("No finite values.");
    const drawable = this.look.log ? shown.some((line) => line.y.some((value) => value > 0)) : true;
    if (!drawable) return this.#say("No positive values to show on a log scale.");
    this.place.replaceChildren(this.tip);
    this.#draw(shown);
    this.#tell(shown);
  }

  close() {
    this.#drop();
    this.data = null;
    this.asked += 1;
    this.place.replaceChildren();
    delete this.figure.dataset.drawn;
  }

  #drop() {
    this.plot?.destroy();
    this.plot = null;
  }

  #say(text) {
    this.last.textContent = "";
    this.note.hidden = true;
    this.place.replaceChildren(made("p", { className: "hint", textContent: text }));
  }

  #draw(lines) {
    const positive = (value) => (this.look.log && !(value > 0) ? null : value);
    const tables = lines.map(({ x, y }) => [x, y.map(positive)]);
    const raw = tables.length > 1 ? uPlot.join(tables) : tables[0];
    const smooth = this.look.smooth > 0 ? lines.map(({ y }, place) => [tables[place][0], smoothed(tables[place][1], this.look.smooth)]) : [];
    const over = smooth.length > 1 ? uPlot.join(smooth).slice(1) : smooth.slice(0, 1).map((table) => table[1]);
    this.drawn = lines;
    this.plot = new uPlot(this.#options(lines, over.length > 0), [...raw, ...over], this.place);
    const [first, last] = this.range ?? around(raw[0]);
    this.plot.setScale("x", { min: first, max: last });
  }

  #options(lines, smooth) {
    const [ink, grid] = [colour("--soft"), colour("--line")];
    const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 } };
    const line = (each, faint) => ({
      label: each.name, stroke: colour(`--line${each.number}`), width: faint ? 1 : 1.6, alpha: faint ? 0.3 : 1, spanGaps: true,
      points: { show: each.x.length < 40 && !faint, size: 5 },
    });
    const time = this.look.axis === "relative" ? { values: (_, ticks) => ticks.map(clock), space: 74 } : { space: 60 };
    return {
      width: this.place.clientWidth, height: this.place.clientHeight, padding: [8, 12, 0, 0], legend: { show: false },
      scales: {
        x: { time: this.look.axis === "wall", auto: false },
        y: this.look.log ? { distr: 3, log: 10 } : {},
      },
      axes: [{ ...axis, ...time, size: 30 }, { ...axis, size: 58, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : short(tick))) }],
      cursor: { drag: { x: true, y: false, setScale: false }, bind: { dblclick: () => () => this.zoom(null) }, points: { size: 6 } },
      series: [{}, ...lines.map((each) => line(each, smooth)), ...(smooth ? lines.map((each) => line(each, false)) : [])],
      hooks: { setSelect: [(plot) => this.#selected(plot)], setCursor: [(plot) => this.#point(plot)] },
    };
  }

  #selected(plot) {
    const { left, width } = plot.select;
    if (width < 4) return;
    const range = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.zoom(range);
  }

  // What stands under the pointer.
  #point(plot) {
    const place = plot.cursor.idx;
    this.tip.hidden = place === null || place === undefined || plot.cursor.left < 0;
    if (this.tip.hidden) return;
    const head = made("p", {});
    head.append(made("b", { textContent: this.#where(plot.data[0][place]) }));
    const offset = this.look.smooth > 0 ? this.drawn.length : 0;
    const rows = this.drawn.map((line, number) => {
      const values = plot.data[1 + number];
      const at = nearest(values, place);
      const row = made("p", {});
      const swatch = made("span", { className: `swatch line${line.number}` });
      const smooth = offset && at !== null ? ` ≈ ${short(plot.data[1 + offset + number][at])}` : "";
      row.append(swatch, made("span", { textContent: this.drawn.length > 1 ? line.name : "" }), made("b", { textContent: at === null ? "" : short(values[at]) + smooth }));
      return row;
    });
    this.tip.replaceChildren(head, ...rows);
    const right = plot.cursor.left > plot.over.clientWidth / 2;
    this.tip.style.left = right ? "64px" : "auto";
    this.tip.style.right = right ? "auto" : "12px";
  }

  #where(x) {
    if (this.look.axis === "wall") return new Date(1000 * x).toISOString().replace("T", " ").slice(0, 19);
    return this.look.axis === "relative" ? clock(x) : `step ${short(x)}`;
  }

  // The last value, and what was left out.
  #tell(lines) {
    this.last.textContent = lines.length === 1 ? short(lines[0].y.at(-1)) : "";
    const dropped = this.look.log ? lines.reduce((sum, { y }) => sum + y.filter((value) => !(value > 0)).length, 0) : 0;
    this.note.hidden = !dropped;
    this.note.textContent = dropped ? `${dropped} values that are not positive are left out.` : "";
  }

  #press(event) {
    if (!this.plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const { min, max } = this.plot.scales.x;
    const width = max - min;
    const move = (by) => this.zoom([min + by * width, max + by * width]);
    const middle = this.plot.cursor.left >= 0 ? this.plot.posToVal(this.plot.cursor.left, "x") : (min + max) / 2;
    const scale = (factor) => this.zoom([middle - (middle - min) * factor, middle + (max - middle) * factor]);
    const acts = {
      "+": () => scale(0.5), "=": () => scale(0.5), "-": () => scale(2), 0: () => this.zoom(null), Escape: () => this.zoom(null),
      ArrowLeft: () => (event.shiftKey ? move(-NUDGE) : this.#step(-1)), ArrowRight: () => (event.shiftKey ? move(NUDGE) : this.#step(1)),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #step(by) {
    const { data, cursor } = this.plot;
    const last = data[0].length - 1;
    const start = cursor.idx ?? (by > 0 ? -1 : last + 1);
    const place = Math.max(0, Math.min(last, start + by));
    this.plot.setCursor({ left: this.plot.valToPos(data[0][place], "x"), top: 20 });
  }
}

// From the first x to the last; a single point would leave no width to draw in.
function around(x) {
  const [first, last] = [x[0], x.at(-1)];
  return first === last ? [first - 1, last + 1] : [first, last];
}

// The nearest place with a value: lines of several runs seldom have a point at the same x.
function nearest(values, place) {
  for (let away = 0; away < values.length; away += 1) {
    for (const at of [place - away, place + away]) if (values[at] !== null && values[at] !== undefined) return at;
  }
  return null;
}
