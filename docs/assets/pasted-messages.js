// A message that was pasted into the search. Names, paths and numbers in it are on no page, and its small words are on all
// of them, so that a search for words does not find it. Here it is held against the messages themselves, which the site
// brings along (`pastedMessages`, made when it is built: the message with … where it differs, a title, an address).
"use strict";

(() => {
  const FEWEST_LETTERS = 10;
  const letters = (text) => text.replace(/[^\p{L}]/gu, "").length;
  const plain = (text) => text.replace(/\s+/g, " ").trim();

  // How many letters of the message stand in the text, in its order; 0 when they do not. A text may end within it.
  function likeness(text, message) {
    let at = 0;
    let found = 0;
    for (const part of message.split("…").map(plain).filter((part) => letters(part))) {
      const place = text.indexOf(part, at);
      if (place < 0) {
        const cut = [...part].findLastIndex((_, end) => text.endsWith(part.slice(0, end)) && text.length - end >= at);
        return cut > 0 && letters(part.slice(0, cut)) + found >= FEWEST_LETTERS ? found + letters(part.slice(0, cut)) : 0;
      }
      at = place + part.length;
      found += letters(part);
    }
    return found;
  }

  function meant(text) {
    const best = new Map();
    for (const [message, title, address] of window.pastedMessages) {
      const found = likeness(text, message);
      if (found >= FEWEST_LETTERS && found > (best.get(address)?.found ?? 0)) best.set(address, { found, title, address });
    }
    const most = Math.max(...[...best.values()].map(({ found }) => found));
    // What says much less of it is a message of another kind that ends like this one.
    return [...best.values()].filter(({ found }) => found > 0.75 * most).sort((one, other) => other.found - one.found);
  }

  const input = document.querySelector(".md-search__input");
  const results = document.querySelector(".md-search-result");
  if (!input || !results) return;
  const { base } = JSON.parse(document.getElementById("__config").textContent);
  const shown = document.createElement("div");
  shown.className = "pasted-message";
  shown.setAttribute("aria-live", "polite");
  results.prepend(shown);

  input.addEventListener("input", () => {
    shown.replaceChildren(
      ...meant(plain(input.value)).map(({ title, address }) => {
        const link = document.createElement("a");
        link.href = `${base}/${address}`;
        link.textContent = `This message: ${title}`;
        return link;
      }),
    );
  });
})();
