// The score on a scale that shows where the model cannot tell.
import { make } from "./dom.js";
import { model } from "./model.js";
import { words } from "./words.js";

export function scale(p, label) {
  const { real_below: low, fake_above: high } = model;
  const text = words.decimals;
  const bar = make("div", { class: "bar" },
    make("span", { class: "zone low", style: { width: `${100 * low}%` } }),
    make("span", { class: "zone middle", style: { width: `${100 * (high - low)}%` } }),
    make("span", { class: "zone high" }),
    make("span", { class: `mark ${label}`, style: { left: `${100 * p}%` } }));
  const cut = (at, kind) => make("span", { class: `cut ${kind}`, style: { left: `${100 * at}%` } }, text(at));
  return make("div", { class: "scale", role: "img", "aria-label": words.scaleLabel(text(p), text(low), text(high)) },
    bar,
    make("div", { class: "cuts" }, cut(low, "first"), cut(high, "second")),
    make("div", { class: "ends" },
      make("span", { class: "low" }, words.ends.low),
      make("span", { class: "middle" }, words.ends.middle),
      make("span", { class: "high" }, words.ends.high)));
}
