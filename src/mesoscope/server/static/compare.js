// Two results side by side: what is chosen, and the bar that says so.
import { $, button } from "./dom.js";
import { words } from "./words.js";

export const chosen = new Map(); // id → item, at most two

export function toggle(item) {
  const { id } = item.result;
  if (chosen.has(id)) chosen.delete(id);
  else {
    if (chosen.size === 2) chosen.delete(chosen.keys().next().value);
    chosen.set(id, item);
  }
  showChosen();
}

export function showChosen() {
  const bar = $("compare-bar");
  for (const control of document.querySelectorAll("[data-pick]")) {
    const on = chosen.has(control.dataset.pick);
    if (control.type === "checkbox") control.checked = on;
    else control.setAttribute("aria-pressed", String(on));
  }
  bar.hidden = chosen.size === 0 || location.hash.startsWith("#compare");
  if (bar.hidden) return;
  const ids = [...chosen.keys()];
  $("compare-told").textContent = words.compareBar(ids.length);
  $("compare-acts").replaceChildren(
    ...(ids.length === 2 ? [button(words.compareNow, () => { location.hash = `compare/${ids.join("/")}`; }, { class: "main" })] : []),
    button(words.compareClear, () => { chosen.clear(); showChosen(); }));
}
