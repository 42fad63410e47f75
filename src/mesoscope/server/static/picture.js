// A picture with its faces boxed and their evidence maps over it.
import { make } from "./dom.js";
import { faceLabel, isWhole } from "./model.js";
import { words } from "./words.js";

const TALLEST_PX = 560;
const SMALLEST_PX = 340; // small crops are shown larger than they are

// A place in the picture's pixels as shares of it, whatever its size on the screen.
export function put(element, [left, top, width, height], whole) {
  element.style.left = `${(100 * left) / whole.width}%`;
  element.style.top = `${(100 * top) / whole.height}%`;
  element.style.width = `${(100 * width) / whole.width}%`;
  element.style.height = `${(100 * height) / whole.height}%`;
}

export const spread = ([x1, y1, x2, y2]) => [x1, y1, x2 - x1, y2 - y1];

export function fit(stage, { width, height }) {
  const wanted = Math.min(Math.max(width, SMALLEST_PX), (TALLEST_PX * width) / height);
  stage.style.width = `min(100%, ${Math.round(wanted)}px)`;
  stage.style.aspectRatio = `${width} / ${height}`;
  stage.style.setProperty("--ratio", width / height);
}

export function faceBox(label, number) {
  return make("div", { class: `box ${label}`, "aria-hidden": "true" },
    number && make("span", { class: "plate" }, number));
}

// The stage, and a way to point at a face. `source` is an address; `size` that of the judged picture.
export function pictureOf({ source, size, name, verdict, evidence }) {
  const picture = make("img", { class: "picture", alt: words.picture(name), src: source });
  const stage = make("div", { class: "stage" }, picture);
  const boxes = [];
  const lay = () => {
    const whole = size ?? { width: picture.naturalWidth, height: picture.naturalHeight };
    fit(stage, whole);
    if (!verdict) return;
    for (const { square: [left, top, side], png } of evidence ?? []) {
      const heat = make("img", { class: "heat", alt: "", src: `data:image/png;base64,${png}` });
      put(heat, [left, top, side, side], whole);
      stage.append(heat);
    }
    const several = verdict.faces.length > 1;
    verdict.faces.forEach((face, n) => {
      if (isWhole(verdict)) return;
      const box = faceBox(faceLabel(face), several ? String(n + 1) : "");
      put(box, spread(face.box), whole);
      boxes[n] = box;
      stage.append(box);
    });
    for (const face of verdict.skipped) {
      const box = faceBox("skipped", "");
      put(box, spread(face.box), whole);
      stage.append(box);
    }
  };
  if (picture.complete && picture.naturalWidth) lay();
  else picture.addEventListener("load", lay, { once: true });
  return { stage, point: (n, on) => boxes[n]?.classList.toggle("pointed", on) };
}

// Switches for what lies over a picture.
export function layers(stage, kinds) {
  const one = (kind) => {
    const box = make("input", {
      type: "checkbox", checked: true,
      onchange: () => stage.classList.toggle(`no-${kind}`, !box.checked),
    });
    return make("label", { class: "switch" }, box, words[kind]);
  };
  const large = make("input", {
    type: "checkbox", onchange: () => stage.closest(".card").classList.toggle("large", large.checked),
  });
  return make("div", { class: "layers" }, ...kinds.map(one),
    make("label", { class: "switch" }, large, words.large));
}

export function legend() {
  return make("div", { class: "legend" },
    make("span", { class: "ramp", "aria-hidden": "true" },
      make("span", {}, words.heatEnds[0]), make("span", { class: "colours" }), make("span", {}, words.heatEnds[1])),
    make("p", {}, words.heatLegend));
}
