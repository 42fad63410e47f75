// The history: filtered, paged, exported.
import { Refusal, ask, call } from "./api.js";
import { rowsOf } from "./export.js";
import { $, button, make, save, tell } from "./dom.js";
import { model, problemText } from "./model.js";
import { resultRow } from "./rows.js";
import { words } from "./words.js";

const PAGE = 50;
const LABELS = ["fake", "inconclusive", "real", "none"];
let job = null;
let asked = 0; // the latest question: answers to earlier ones are dropped

export function showHistory(ofJob = null) {
  job = ofJob;
  if (model?.keep_results_days === 0 && !job) {
    $("history-list").replaceChildren(make("p", { class: "absent" }, words.historyOff));
    $("filters").hidden = $("exports").hidden = true;
    return;
  }
  fillChoices();
  $("of-job").hidden = !job;
  load();
}

function fillChoices() {
  const fill = (id, pairs) => {
    const { value } = $(id);
    $(id).replaceChildren(...pairs.map(([given, text]) => make("option", { value: given }, text)));
    $(id).value = value;
  };
  fill("f-label", [["", words.any], ...LABELS.map((label) => [label, words.short[label]])]);
  fill("f-kind", [["", words.any], ...Object.entries(words.kinds)]);
  fill("f-says", [["", words.any], ...Object.entries(words.says)]);
}

function query(more = {}) {
  const found = new URLSearchParams({ limit: PAGE });
  const day = (id) => $(id).value && new Date(`${$(id).value}T00:00:00`);
  const until = day("f-until");
  if (until) until.setDate(until.getDate() + 1); // that day is meant, too
  const values = {
    q: $("f-name").value.trim(), label: $("f-label").value, kind: $("f-kind").value, says: $("f-says").value,
    since: day("f-since") && day("f-since").toISOString(), until: until && until.toISOString(), job, ...more,
  };
  for (const [name, value] of Object.entries(values)) if (value) found.set(name, value);
  return found;
}

async function load(before = null, list = null) {
  const mine = (asked += 1);
  let page;
  try {
    page = await ask(`/v1/results?${query(before ? { before } : {})}`);
  } catch (refusal) {
    if (refusal.status !== 401) tell(problemText(refusal));
    return;
  }
  if (mine !== asked) return;
  const rows = list ?? make("ul", { class: "rows" });
  const first = rows.childElementCount;
  rows.append(...page.results.map((result) => resultRow(result, true)));
  const count = rows.childElementCount;
  const parts = count ? [rows] : [make("p", { class: "absent" }, isFiltered() ? words.historyNoMatch : words.historyNone)];
  if (page.next) parts.push(button(words.more, () => load(page.next, rows), { class: "more" }));
  $("history-list").replaceChildren(...parts);
  $("history-count").textContent = count ? words.shown(count, page.next) : "";
  if (list) rows.children[first]?.querySelector("a").focus();
}

const isFiltered = () => [...query()].some(([name]) => name !== "limit");

export function listenToFilters() {
  let later;
  $("filters").addEventListener("input", (event) => {
    clearTimeout(later);
    later = setTimeout(load, event.target.id === "f-name" ? 250 : 0);
  });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("clear-filters").addEventListener("click", () => {
    $("filters").reset();
    if (job) location.hash = "history";
    else load();
  });
  $("export-csv").addEventListener("click", () => exported("csv"));
  $("export-lines").addEventListener("click", () => exported("jsonl"));
  $("export-set").addEventListener("click", dataSet);
}

// All that the filters let through, page by page.
async function exported(form) {
  const results = [];
  try {
    let before = null;
    do {
      const page = await ask(`/v1/results?${query({ limit: 200, ...(before ? { before } : {}) })}`);
      results.push(...page.results);
      before = page.next;
      tell(words.exporting(results.length));
    } while (before);
  } catch (refusal) {
    tell(problemText(refusal));
    return;
  }
  const type = form === "csv" ? "text/csv" : "application/x-ndjson";
  save(new Blob([rowsOf(results, form)], { type }), `verdicts.${form}`);
  tell(words.exported(results.length));
}

async function dataSet() {
  try {
    save(await (await call("/v1/feedback/dataset")).blob(), "feedback.zip");
  } catch (refusal) {
    tell(refusal instanceof Refusal ? refusal.message : words.failed);
  }
}
