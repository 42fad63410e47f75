// A result as one line of a list.
import { chosen, toggle } from "./compare.js";
import { make } from "./dom.js";
import { outcome } from "./model.js";
import { moment, words } from "./words.js";

export function resultRow(result, pick = false) {
  const { verdict } = result;
  const label = outcome(verdict);
  const item = { name: result.name, result };
  const box = pick && make("input", {
    type: "checkbox", "data-pick": result.id, checked: chosen.has(result.id),
    "aria-label": `${words.compareThis}: ${result.name}`, onchange: () => toggle(item),
  });
  return make("li", { class: "result" },
    pick && make("label", { class: "picker" }, box),
    make("a", { href: `#result/${result.id}` }, make("bdi", {}, result.name)),
    make("span", { class: `chip ${label}` }, words.short[label]),
    make("span", { class: "figure" }, verdict.p_fake === null ? "" : words.decimals(verdict.p_fake)),
    make("span", { class: "human" }, result.feedback ? `${words.said}: ${words.says[result.feedback.says]}` : ""),
    make("time", { datetime: result.created }, moment(result.created)));
}
