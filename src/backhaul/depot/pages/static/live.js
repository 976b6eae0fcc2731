// A page of a running run says every few seconds that it is time to look again, and stops when nobody looks or the run ends.

const PAUSE = 4000;
const top = document.querySelector("[data-run]");
let timer = null;

function show(run) {
  const badge = top.querySelector(".state");
  badge.textContent = run.state;
  badge.className = `state ${run.state}`;
  top.dataset.state = run.state;
  top.querySelector("[data-fact=rows]").textContent = run.rows.toLocaleString("en-US");
  top.querySelector("[data-fact=duration]").textContent = run.duration;
}

async function look() {
  timer = null;
  const before = top.querySelector("[data-fact=rows]").textContent;
  try {
    const answer = await fetch(`${top.dataset.run}/state`);
    if (!answer.ok) return; // signed out, or the run was deleted: the page stays as it is
    const run = await answer.json();
    show(run);
    const changed = before !== top.querySelector("[data-fact=rows]").textContent;
    document.dispatchEvent(new CustomEvent("run-changed", { detail: { run, changed } }));
  } catch (error) {
    console.info("the depot does not answer", error); // it may be back at the next look
  }
  plan();
}

function plan() {
  const wanted = top.dataset.state === "running" && !document.hidden;
  if (wanted && timer === null) timer = setTimeout(look, PAUSE);
  if (!wanted && timer !== null) { clearTimeout(timer); timer = null; }
}

document.querySelector(".tabs [aria-current]").scrollIntoView({ inline: "center", block: "nearest" });
document.addEventListener("visibilitychange", plan);
plan();
