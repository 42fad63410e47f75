// Drop, paste or choose pictures; each is judged by POST /v1/check and shown with its evidence.
import { words } from "./words.js";

const $ = (id) => document.getElementById(id);
const make = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};
let model = null;

function headers() {
  const key = $("key").value.trim();
  return key ? { Authorization: `Bearer ${key}` } : {};
}

async function loadModel() {
  const answer = await fetch("/v1/model", { headers: headers() });
  if (answer.status === 401) {
    $("key-line").hidden = false;
    return;
  }
  if (!answer.ok) return;
  model = await answer.json();
  $("model").textContent = words.model(model);
}

async function ask(file) {
  for (;;) {
    const name = encodeURIComponent(file.name || "pasted");
    const answer = await fetch(`/v1/check?heat=true&name=${name}`, {
      method: "POST",
      headers: headers(),
      body: file,
    });
    if (answer.status !== 429 && answer.status !== 503) return answer;
    const wait = Number(answer.headers.get("Retry-After")) || 2;
    $("status").textContent = words.busy(wait);
    await new Promise((go) => setTimeout(go, wait * 1000));
  }
}

async function judge(files) {
  let count = 0;
  for (const file of files) {
    $("status").textContent = words.judging(files.length - count);
    try {
      const answer = await ask(file);
      if (answer.status === 401) {
        $("key-line").hidden = false;
        $("status").textContent = words.needsKey;
        return;
      }
      if (model === null) await loadModel();
      const body = await answer.json();
      show(file, answer.ok ? body.results[0] : { verdict: null, problem: body.detail });
    } catch {
      $("status").textContent = words.unreachable;
      return;
    }
    count += 1;
  }
  $("status").textContent = words.done(count);
}

function show(file, result) {
  const verdict = result.verdict;
  const error = verdict === null ? result.problem : verdict.error && verdict.error.message;
  const label = error ? "unreadable" : verdict.label || "none";
  const article = make("article");
  article.append(pictureOf(file, result, Boolean(error)), told(file, verdict, label, error));
  $("results").prepend(article);
  const toggle = article.querySelector("button");
  if (toggle) {
    toggle.addEventListener("click", () => {
      const hot = article.querySelector(".shown").classList.toggle("hot");
      toggle.setAttribute("aria-pressed", String(hot));
      toggle.textContent = hot ? words.hideHeat : words.showHeat;
    });
  }
}

function pictureOf(file, result, failed) {
  const shown = make("div", "shown");
  if (failed) return shown;
  const picture = make("img", "picture");
  picture.alt = words.picture(file.name || "pasted");
  const url = URL.createObjectURL(file);
  picture.addEventListener("load", () => {
    overlay(shown, result, picture.naturalWidth, picture.naturalHeight);
    URL.revokeObjectURL(url);
  });
  picture.src = url;
  shown.append(picture);
  return shown;
}

function place(what, left, top, width, height, whole) {
  what.style.insetInlineStart = "";
  what.style.left = `${(100 * left) / whole.width}%`;
  what.style.top = `${(100 * top) / whole.height}%`;
  what.style.width = `${(100 * width) / whole.width}%`;
  what.style.height = `${(100 * height) / whole.height}%`;
}

function overlay(shown, result, width, height) {
  const whole = { width, height };
  for (const { square: [left, top, side], png } of result.evidence || []) {
    const heat = make("img", "heat");
    heat.alt = "";
    heat.src = `data:image/png;base64,${png}`;
    place(heat, left, top, side, side, whole);
    shown.append(heat);
  }
  for (const face of result.verdict.faces) {
    const [x1, y1, x2, y2] = face.box;
    const box = make("div", `box ${labelOf(face.p_fake)}`);
    place(box, x1, y1, x2 - x1, y2 - y1, whole);
    shown.append(box);
  }
}

function labelOf(p) {
  if (model === null) return "";
  return p >= model.fake_above ? "fake" : p < model.real_below ? "real" : "";
}

function told(file, verdict, label, error) {
  const side = make("div");
  side.append(make("h2", "", file.name || "pasted"));
  const tone = label === "fake" || label === "real" ? label : "unsure";
  side.append(make("p", `told ${tone}`, words.told[label]));
  if (error) {
    side.append(make("p", "", error));
    return side;
  }
  if (verdict.p_fake !== null) {
    side.append(make("p", "", words.score(verdict.p_fake)));
    if (model !== null) side.append(...scale(verdict.p_fake));
  }
  const reason = words.reasons[verdict.reason];
  if (reason) side.append(make("p", "", reason));
  if (verdict.faces.length) {
    side.append(make("p", "", words.faces(verdict.faces.length)));
    const button = make("button", "", words.showHeat);
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    side.append(button);
  }
  if (verdict.notes.length) {
    const notes = make("ul", "notes");
    notes.append(...verdict.notes.map((note) => make("li", "", note)));
    side.append(notes);
  }
  return side;
}

function scale(p) {
  const { real_below: low, fake_above: high } = model;
  const bar = make("div", "scale");
  bar.setAttribute("role", "img");
  bar.setAttribute("aria-label", words.scaleLabel(p, low, high));
  const band = make("div", "band");
  band.style.left = `${100 * low}%`;
  band.style.width = `${100 * (high - low)}%`;
  const mark = make("div", "mark");
  mark.style.left = `${100 * p}%`;
  bar.append(band, mark);
  const ends = make("div", "ends");
  ends.append(...words.ends.map((text) => make("span", "", text)));
  return [bar, ends];
}

const drop = $("drop");
$("files").addEventListener("change", (event) => {
  judge([...event.target.files]);
  event.target.value = "";
});
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") judge([...event.dataTransfer.files]);
  });
}
document.addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (files.length) judge(files);
});
$("choose").addEventListener("submit", (event) => event.preventDefault());
$("key").addEventListener("change", loadModel);
loadModel().catch(() => {});
