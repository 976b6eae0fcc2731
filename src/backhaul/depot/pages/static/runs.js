// The list of runs: how many are ticked for a comparison, and menus that close when one looks elsewhere.

const selection = document.querySelector("[data-selection]");
const menus = document.querySelectorAll(".menu");

function count() {
  const chosen = selection.querySelectorAll("input[name=run]:checked").length;
  selection.querySelector(".compare").disabled = chosen < 2;
  selection.querySelector("[data-chosen]").textContent = chosen < 2 ? "Tick two or more runs." : `${chosen} runs ticked.`;
}

if (selection) {
  selection.addEventListener("change", count);
  addEventListener("pageshow", count); // going back restores the ticks
  count();
}

document.addEventListener("click", ({ target }) => menus.forEach((menu) => { if (!menu.contains(target)) menu.open = false; }));
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  menus.forEach((menu) => { if (menu.open) { menu.open = false; menu.querySelector("summary").focus(); } });
});
