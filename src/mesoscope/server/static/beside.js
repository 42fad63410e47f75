// What stands beside a verdict: its faces or persons, what the file says of itself, particulars, notes.
import { english, make } from "./dom.js";
import { faceLabel, model, outcome } from "./model.js";
import { moment, number, words } from "./words.js";

const chip = (label, text) => make("span", { class: `chip ${label}` }, text);

// A table of faces; `point(n, on)` marks one in the picture.
export function facesOf(verdict, point) {
  const { faces, skipped } = verdict;
  const head = make("p", { class: "count" }, words.facesTold(faces.length, skipped.length));
  if (faces.length < 2) return faces.length || skipped.length ? head : "";
  const row = (face, n) => {
    const show = make("button", {
      type: "button", class: "link", "aria-label": words.showFace(n + 1),
      onpointerenter: () => point(n, true), onpointerleave: () => point(n, false),
      onfocus: () => point(n, true), onblur: () => point(n, false),
    }, words.face(n + 1));
    const label = faceLabel(face);
    return make("li", {}, show, make("span", { class: "figure" }, words.decimals(face.p_fake)),
      chip(label, words.ofFace[label]));
  };
  const order = faces.map((face, n) => [face, n]).sort(([a], [b]) => b.p_fake - a.p_fake);
  const list = make("ol", { class: "faces", tabindex: faces.length > 8 ? 0 : undefined,
    "aria-label": words.faces }, ...order.map(([face, n]) => row(face, n)));
  return make("div", {}, head, list);
}

// The persons of a clip; `go(time)` shows one.
export function personsOf(verdict, go) {
  if (!verdict.persons.length) return "";
  const row = (person) => {
    const label = person.label ?? "none";
    return make("li", {},
      make("button", {
        type: "button", class: "link", "aria-label": words.showPerson(person.number + 1),
        onclick: () => go(person.first_s),
      }, make("span", { class: `key p${person.number % 6}`, "aria-hidden": "true" }), words.person(person.number + 1)),
      make("span", { class: "figure" }, person.p_fake === null ? "–" : words.decimals(person.p_fake)),
      chip(label, words.short[label]),
      make("span", { class: "when" },
        words.seen(words.seconds(person.first_s, 1), words.seconds(person.last_s, 1), person.frames) +
        (person.background ? `, ${words.background}` : "")));
  };
  return make("div", {}, make("p", { class: "count" }, words.persons),
    make("ol", { class: "faces persons" }, ...verdict.persons.map(row)));
}

export function notesOf(verdict) {
  if (!verdict.notes.length) return "";
  return make("div", { class: "notes" }, make("p", { class: "count" }, words.notes),
    make("ul", {}, ...verdict.notes.map((note) => english(note, "li"))));
}

export function fileSays(provenance) {
  const found = provenance?.findings ?? [];
  const loud = found.filter((finding) => finding.weight !== "note").length;
  const count = provenance ? make("span", { class: loud ? "badge loud" : "badge" }, words.findings(found.length)) : "";
  const inside = [];
  if (!provenance) inside.push(make("p", {}, words.notAsked));
  else if (provenance.error) inside.push(english(provenance.error.message, "p"));
  else if (!found.length) inside.push(make("p", {}, words.fileSaysNothing));
  else inside.push(make("ul", { class: "findings" }, ...found.map(finding)));
  inside.push(make("p", { class: "hint" }, words.fileSaysHint));
  return make("details", { class: "says" }, make("summary", {}, words.fileSays, " ", count), ...inside);
}

function finding({ field, value, where, meaning, weight }) {
  return make("li", { class: weight },
    make("span", { class: `weight ${weight}` }, words.weights[weight]),
    english(`${field}: `, "strong"), make("bdi", {}, value), " ", make("span", { class: "where" }, where),
    english(meaning, "p"));
}

export function particulars(result) {
  const { verdict } = result;
  const facts = words.facts;
  const rows = [
    [facts.sha256, make("code", {}, result.sha256)],
    [facts.model, make("code", {}, verdict.model)],
    [facts.thresholds, `${words.decimals(model.real_below)} · ${words.decimals(model.fake_above)}`],
    [facts.finder, verdict.finder ?? "–"],
  ];
  if (result.created) rows.push([facts.created, moment(result.created)]);
  if (verdict.duration_s !== null) {
    rows.push([facts.duration, words.seconds(verdict.duration_s)], [facts.frames, number(verdict.frames_read)]);
  }
  const took = Object.values(verdict.elapsed_s).reduce((all, part) => all + part, 0);
  if (outcome(verdict) !== "error") rows.push([facts.took, words.seconds(took)]);
  const list = make("dl", {}, ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  return make("details", {}, make("summary", {}, words.particulars), list);
}
