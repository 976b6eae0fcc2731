// The console of a running run: new lines are added below when its end is shown.

const MOST = 5000; // lines kept on the page
const view = document.querySelector(".console");
let end = Number(view?.dataset.end ?? 0);
const follows = view && end === Number(view.dataset.total);

if (follows) {
  view.scrollTop = view.scrollHeight;
  document.addEventListener("run-changed", ({ detail }) => { if (detail.run.lines > end) more(); });
}

async function more() {
  const answer = await fetch(`${location.pathname}?format=json&first=${end}`);
  if (!answer.ok) return;
  const { lines, end: reached, total } = await answer.json();
  if (reached <= end) return;
  const atEnd = view.scrollHeight - view.scrollTop - view.clientHeight < 40;
  view.append(...lines.map(line));
  while (view.children.length > MOST) view.firstElementChild.remove();
  end = reached;
  const count = (name, value) => { document.querySelector(`[data-${name}]:not(pre)`).textContent = value.toLocaleString("en-US"); };
  count("first", Number(view.firstElementChild.dataset.number));
  count("end", end);
  count("total", total);
  if (atEnd) view.scrollTop = view.scrollHeight;
}

function line({ number, level, timestamp, label, parts }) {
  const row = document.createElement("span");
  row.className = level === "error" ? "line error" : "line";
  row.dataset.number = number + 1;
  if (timestamp) row.title = timestamp;
  if (label) row.append(Object.assign(document.createElement("b"), { className: "label", textContent: label }), " ");
  row.append(...parts.map(({ text, looks }) => Object.assign(document.createElement("span"), { className: looks, textContent: text })));
  return row;
}
