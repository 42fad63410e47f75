// One file on the page: its picture or clip, the verdict, and what stands beside it.
import { actions } from "./actions.js";
import { keptBlob, keptFile } from "./api.js";
import { facesOf, fileSays, notesOf, particulars, personsOf } from "./beside.js";
import { clipOf } from "./clip.js";
import { chosen, toggle } from "./compare.js";
import { button, clear, english, make } from "./dom.js";
import { model, outcome, problemText } from "./model.js";
import { movingPicture } from "./moving.js";
import { legend, layers, pictureOf } from "./picture.js";
import { scale } from "./scale.js";
import { words } from "./words.js";

// An item: {name, file?, source?, preview?, state, refusal?, result?}; `act` says what the view around it does:
// check(blob, name) with a frame of a clip, gone() when it was forgotten, evidence(item) to make maps.
export function card(item, act) {
  const article = make("article", { class: "card" });
  const redraw = () => {
    clear(article);
    article.append(...parts(item, act, redraw));
    article.setAttribute("aria-label", item.name);
  };
  redraw();
  return { article, redraw };
}

function parts(item, act, redraw) {
  if (item.refusal) return refused(item, act);
  if (!item.result || model === null) return waiting(item);
  const { verdict } = item.result;
  const shown = make("div", { class: "shown" });
  const seen = verdict.kind === "clip" && verdict.faces.length ? clipShown(item, shown, act) : pictureShown(item, shown, act, redraw);
  return [make("div", { class: "answer" }, ...heading(item), ...answer(verdict)), shown, make("div", { class: "told" },
    verdict.kind === "clip"
      ? personsOf(verdict, (time) => seen.go(time)) : facesOf(verdict, (n, on) => seen.point(n, on)),
    notesOf(verdict),
    fileSays(item.result.provenance), particulars(item.result), ...actions(item, act))];
}

function heading(item) {
  const top = [make("h2", { class: "name" }, make("bdi", {}, item.name))];
  if (!item.result?.id) return top;
  const pick = button(words.compareThis, () => toggle(item), {
    class: "quiet pick", "data-pick": item.result.id, "aria-pressed": String(chosen.has(item.result.id)),
  });
  return [make("div", { class: "head" }, ...top, pick)];
}

function answer(verdict) {
  const label = outcome(verdict);
  const found = [make("p", { class: `verdict ${label}` }, words.told[label])];
  if (label === "error") return [...found, english(verdict.error.message, "p", { class: "why" })];
  if (words.reasons[verdict.reason]) found.push(make("p", { class: "why" }, words.reasons[verdict.reason]));
  if (verdict.p_fake !== null) {
    found.push(make("p", { class: "score" }, words.score, " ", make("strong", {}, words.decimals(verdict.p_fake))),
    scale(verdict.p_fake, label));
  }
  return [...found, make("p", { class: "means" }, words.means[label])];
}

function refused(item, act) {
  return [make("div", { class: "wide" }, make("h2", { class: "name" }, make("bdi", {}, item.name)),
    make("p", { class: "verdict error" }, item.state?.state === "cancelled" ? words.jobStates.cancelled : words.failed),
    make("p", { class: "why" }, problemText(item.refusal)),
    item.refusal.detail && english(item.refusal.detail, "p", { class: "hint" }),
    act.again && make("div", { class: "row" }, button(words.again, () => act.again(item))))];
}

function waiting(item) {
  const shown = make("div", { class: "shown" });
  if (item.source && !item.isClip) {
    shown.append(pictureOf({ source: item.source, size: null, name: item.name }).stage);
    shown.firstChild.classList.add("dim");
  }
  const bar = make("progress", { "aria-label": item.name, ...(item.share === undefined ? {} : { max: 1, value: item.share }) });
  return [make("div", { class: "answer" }, make("h2", { class: "name" }, make("bdi", {}, item.name)),
    make("p", { class: "verdict waiting" }, item.told ?? words.waiting), bar,
    item.cancel && make("div", { class: "row" }, button(words.cancel, item.cancel))), shown];
}

// The address of a picture or clip: of this window's file, of the server's preview, or of the kept file.
async function sourceOf(item) {
  if (item.preview) return item.preview.source;
  if (item.source) return item.source;
  if (!item.result.picture) return null;
  item.source = await keptFile(item.result.id);
  return item.source;
}

function pictureShown(item, shown, act, redraw) {
  const seen = { point: () => {}, go: () => {} };
  const { verdict, evidence } = item.result;
  if (verdict.error && !item.source) return seen;
  sourceOf(item).then((source) => {
    if (!source) {
      shown.append(make("p", { class: "absent" }, words.noPicture));
      return;
    }
    const boxed = verdict.kind === "image" && !verdict.error;
    const { stage, point } = pictureOf({
      source, size: item.preview?.size ?? null, name: item.name, verdict: boxed ? verdict : null, evidence,
    });
    seen.point = point;
    stage.querySelector("img").addEventListener("error", () => {
      shown.replaceChildren(make("p", { class: "absent" }, words.cannotShow));
    });
    shown.append(stage);
    if (!boxed || !verdict.faces.length) return;
    const kinds = [verdict.finder !== "whole" && "boxes", evidence?.length && "evidence"].filter(Boolean);
    shown.append(layers(stage, kinds));
    if (evidence?.length) shown.append(legend());
    else if (act.evidence && item.result.picture) {
      shown.append(button(words.loadEvidence, () => act.evidence(item).then(redraw)));
    }
  }).catch(() => shown.append(make("p", { class: "absent" }, words.noPicture)));
  return seen;
}

function clipShown(item, shown, act) {
  const seen = { go: () => {}, point: () => {} };
  const { verdict, id } = item.result;
  const lay = async () => {
    const isPicture = item.isPicture ?? /\.(gif|a?png|webp)$/i.test(item.name);
    const source = await sourceOf(item).catch(() => null);
    const film = isPicture && source ? await movingPicture(item.file ?? (await keptBlob(id))) : null;
    const check = (blob, time) => act.check(blob, words.frameOf(item.name, time));
    const { part, go } = clipOf({ source: isPicture ? null : source, film, name: item.name, verdict, check });
    seen.go = go;
    if (isPicture && source && !film) {
      part.firstChild.replaceWith(make("img", { class: "picture moving", src: source, alt: words.picture(item.name) }));
    }
    shown.append(part);
  };
  lay();
  return seen;
}
