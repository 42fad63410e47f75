// Scores of a clip over time: a chart to click on, and a slider that steps from judged frame to judged frame.
import { draw, make } from "./dom.js";
import { model } from "./model.js";
import { words } from "./words.js";

const WIDE = 1000;
const HIGH = 100;
export const STYLES = 6; // of persons' lines, see page.css

// Times of the judged frames, each with its faces.
export function frames(verdict) {
  const found = new Map();
  for (const face of verdict.faces) {
    if (!found.has(face.time_s)) found.set(face.time_s, []);
    found.get(face.time_s).push(face);
  }
  return [...found].sort(([a], [b]) => a - b).map(([time, faces]) => ({ time, faces }));
}

// The middle distance of two judged frames: beyond twice of it a line is broken, a box not shown.
export function step(judged) {
  const gaps = judged.slice(1).map((frame, n) => frame.time - judged[n].time).sort((a, b) => a - b);
  return gaps.length ? gaps[gaps.length >> 1] : 1;
}

export const nearest = (judged, time) =>
  judged.reduce((best, frame) => (Math.abs(frame.time - time) < Math.abs(best.time - time) ? frame : best), judged[0]);

export function scoresAt(frame, several) {
  return frame.faces
    .map((face) => (several ? `${words.person(face.person + 1)} ` : "") + words.decimals(face.p_fake))
    .join(" · ");
}

// `go(time)` is called when somebody asks for a time; `show(time)` of what is given back moves the hand.
export function timeline(verdict, go) {
  const judged = frames(verdict);
  const length = Math.max(verdict.duration_s ?? 0, judged.at(-1)?.time ?? 0) || 1;
  const chart = chartOf(verdict, judged, length);
  const hand = make("span", { class: "hand" });
  const area = make("div", { class: "area", "aria-hidden": "true" }, chart, hand, ...thresholds("cut"));
  const slider = make("input", {
    type: "range", min: 0, max: length, step: "any", value: 0, "aria-label": words.timeline,
  });
  slider.addEventListener("input", () => go(Number(slider.value)));
  slider.addEventListener("keydown", (event) => {
    const to = stepped(judged, Number(slider.value), event.key);
    if (to === null) return;
    event.preventDefault();
    go(to);
  });
  const pointed = (event) => {
    const place = area.getBoundingClientRect();
    go(Math.min(Math.max((event.clientX - place.left) / place.width, 0), 1) * length);
  };
  area.addEventListener("pointerdown", (event) => {
    area.setPointerCapture(event.pointerId);
    pointed(event);
  });
  area.addEventListener("pointermove", (event) => event.buttons === 1 && pointed(event));
  const several = verdict.persons.length > 1;
  const gap = step(judged);
  const show = (time) => {
    const near = judged.length ? nearest(judged, time) : null;
    const told = near && Math.abs(near.time - time) <= gap ? scoresAt(near, several) : "";
    hand.style.left = `${(100 * time) / length}%`;
    slider.value = time;
    slider.setAttribute("aria-valuetext", words.at(words.seconds(time), told));
    return told;
  };
  const element = make("div", { class: "timeline" },
    make("div", { class: "axis", "aria-hidden": "true" }, ...thresholds("label")),
    make("div", { class: "tracks" }, area, slider,
      make("div", { class: "times", "aria-hidden": "true" },
        make("span", {}, words.seconds(0, 0)), make("span", {}, words.seconds(length, 1)))));
  return { element, show, judged, gap, length };
}

function stepped(judged, time, key) {
  const before = judged.filter((frame) => frame.time < time - 0.0005);
  const after = judged.filter((frame) => frame.time > time + 0.0005);
  const frame = {
    ArrowLeft: before.at(-1), ArrowDown: before.at(-1), ArrowRight: after[0], ArrowUp: after[0],
    PageDown: before.at(-5) ?? before[0], PageUp: after[4] ?? after.at(-1), Home: judged[0], End: judged.at(-1),
  }[key];
  return frame ? frame.time : null;
}

export const neighbour = (judged, time, forward) => stepped(judged, time, forward ? "ArrowRight" : "ArrowLeft");

function thresholds(kind) {
  return [model.fake_above, model.real_below].map((at) =>
    make("span", { class: kind, style: { bottom: `${100 * at}%` } }, kind === "label" && words.decimals(at)));
}

function chartOf(verdict, judged, length) {
  const x = (time) => (WIDE * time) / length;
  const y = (p) => HIGH * (1 - p);
  const band = draw("rect", {
    class: "band", x: 0, width: WIDE, y: y(model.fake_above), height: HIGH * (model.fake_above - model.real_below),
  });
  const gap = 2.5 * step(judged);
  const lines = verdict.persons.flatMap((person) => {
    let path = "";
    let dots = "";
    let last = -Infinity;
    for (const { time, faces } of judged) {
      const face = faces.find((one) => one.person === person.number);
      if (!face) continue;
      const at = `${x(time).toFixed(1)} ${y(face.p_fake).toFixed(1)}`;
      path += `${time - last > gap ? "M" : "L"}${at}`;
      dots += `M${at}h0`;
      last = time;
    }
    const style = `p${person.number % STYLES}`;
    return [draw("path", { class: `line ${style}`, d: path }), draw("path", { class: `dots ${style}`, d: dots })];
  });
  return draw("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none" }, band, ...lines);
}
