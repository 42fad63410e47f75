// The page: which view is shown, in which language, and with which key.
import { ask, hasKey, takeKey } from "./api.js";
import { listenToCamera } from "./camera.js";
import { card } from "./card.js";
import { actsOf, held, redrawAll, resume, retry, take } from "./check.js";
import { chosen, showChosen } from "./compare.js";
import { $, clear, make, tell } from "./dom.js";
import { listenToFilters, showHistory } from "./history.js";
import { listen } from "./intake.js";
import { loadModel, model, problemText } from "./model.js";
import { fill, language, languages, speak, words } from "./words.js";

const VIEWS = { check: "check", history: "history", job: "history", result: "result", compare: "compare" };
let moved = false; // whether somebody has gone from view to view: then the heading takes the focus

async function route() {
  const [name, ...ids] = location.hash.slice(1).split("/");
  const view = VIEWS[name] ?? "check";
  for (const one of new Set(Object.values(VIEWS))) $(`view-${one}`).hidden = one !== view;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = view === "check" ? words.title : `${words.pages[name]} – mesoscope`;
  tell("");
  clear($("one-result"));
  clear($("two-results"));
  if (view === "history") showHistory(name === "job" ? ids[0] : null);
  if (view === "result") await show($("one-result"), ids.slice(0, 1));
  if (view === "compare") await show($("two-results"), ids.slice(0, 2));
  showChosen();
  if (moved) $(`view-${view}`).querySelector("h1").focus();
  moved = true;
}

async function show(place, ids) {
  const wanted = location.hash;
  try {
    if (model === null) await loadModel();
    const items = await Promise.all(ids.map(fetched));
    if (location.hash !== wanted) return;
    place.append(...items.map((item) => card(item, actsOf(item)).article));
    if (!items.length) place.append(make("p", { class: "absent" }, words.compareNothing));
  } catch (refusal) {
    place.append(make("p", { class: "absent" }, problemText(refusal)));
  }
}

// A result as the server has it now, with the file and maps that this window still holds.
async function fetched(id) {
  const result = await ask(`/v1/results/${encodeURIComponent(id)}`);
  const mine = held.get(id) ?? { name: result.name };
  mine.result = { ...result, evidence: mine.result?.evidence ?? null };
  return mine;
}

function tellOfModel() {
  const keep = [model.keep_days ? words.keepDays(model.keep_days) : words.keepNone];
  keep.push(model.keep_results_days ? words.keepResults(model.keep_results_days) : words.keepNoResults);
  $("keep").textContent = keep.join(" ");
  $("keep-short").textContent = keep[0];
  $("model").textContent = words.model(model);
}

function chooseLanguage() {
  const choice = $("language");
  choice.append(...Object.entries(languages).map(([tag, { name }]) =>
    make("option", { value: tag, lang: tag, selected: tag === language }, name)));
  choice.addEventListener("change", () => {
    speak(choice.value);
    if (model) tellOfModel();
    redrawAll();
    showChosen();
    moved = false;
    route();
  });
}

function askForKey() {
  document.addEventListener("key-wanted", ({ detail }) => {
    $("key-told").textContent = hasKey() ? words.problems[detail.code] ?? detail.message : words.keyHint;
    if (!$("key-dialog").open) $("key-dialog").showModal();
  });
  $("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    takeKey($("key").value);
    $("key-dialog").close();
    begin();
  });
}

async function begin() {
  try {
    await loadModel();
    await resume();
    redrawAll();
    retry();
    route();
  } catch (refusal) {
    if (refusal.status !== 401) tell(problemText(refusal));
  }
}

fill();
chooseLanguage();
askForKey();
listen(take);
listenToCamera(take);
listenToFilters();
document.addEventListener("model-known", tellOfModel);
$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("main").focus();
});
addEventListener("hashchange", route);
moved = false;
route();
begin();
chosen.clear();
