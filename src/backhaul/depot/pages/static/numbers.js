// Numbers of charts: where they come from, how they are smoothed and written.

const TOGETHER = 32; // keys of one request

// Asks for the keys that were wanted within one moment in one request. `wanted` of a key gives its {x, y}.
export class Source {
  constructor(path, stream) {
    this.path = path;
    this.stream = stream;
    this.waiting = new Map();
  }

  wanted(key, view) {
    const query = new URLSearchParams({ stream: this.stream, ...view }).toString();
    if (!this.waiting.has(query)) {
      this.waiting.set(query, []);
      setTimeout(() => this.#ask(query), 15);
    }
    return new Promise((resolve, reject) => this.waiting.get(query).push({ key, resolve, reject }));
  }

  async #ask(query) {
    const all = this.waiting.get(query);
    this.waiting.delete(query);
    for (let start = 0; start < all.length; start += TOGETHER) {
      const group = all.slice(start, start + TOGETHER);
      const keys = new URLSearchParams(group.map(({ key }) => ["key", key]));
      try {
        const answer = await fetch(`${this.path}/series?${query}&${keys}`);
        if (!answer.ok) throw new Error(`the depot answered ${answer.status}`);
        const { series } = await answer.json();
        group.forEach(({ key, resolve }) => resolve(sorted(series[key])));
      } catch (error) {
        group.forEach(({ reject }) => reject(error));
      }
    }
  }
}

// Points come as they were logged; a chart draws from left to right.
function sorted({ x, y }) {
  if (x.every((at, place) => place === 0 || x[place - 1] <= at)) return { x, y };
  const order = x.map((_, place) => place).sort((a, b) => x[a] - x[b]);
  return { x: order.map((place) => x[place]), y: order.map((place) => y[place]) };
}

// A moving average that gives older points less weight, corrected for its start.
export function smoothed(values, weight) {
  let sum = 0;
  let count = 0;
  return values.map((value) => {
    if (value === null || value === undefined) return value;
    sum = sum * weight + (1 - weight) * value;
    count += 1;
    return sum / (1 - weight ** count);
  });
}

export function short(value) {
  if (value === null || value === undefined) return "";
  const size = Math.abs(value);
  if (value === 0 || (size >= 0.001 && size < 1e6)) return String(Number(value.toPrecision(5)));
  return value.toExponential(3).replace(/\.?0+e/, "e").replace("e+", "e");
}

export function clock(seconds) {
  const whole = Math.round(Math.abs(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (whole < 60) return `${Number(seconds.toPrecision(3))}s`;
  if (!hours) return rest ? `${minutes}m ${rest}s` : `${minutes}m`;
  return minutes ? `${hours}h ${minutes}m` : `${hours}h`;
}
