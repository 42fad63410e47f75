// The page to check on: each file has its card at once, and is judged a few at a time.
import { Refusal, ask, call, follow, send } from "./api.js";
import { card } from "./card.js";
import { $, button, clear, make, tell } from "./dom.js";
import { kindOf, showable } from "./intake.js";
import { loadModel, model, outcome } from "./model.js";
import { resultRow } from "./rows.js";
import { share, words } from "./words.js";

const AT_ONCE = 3;
const MOST = 60; // cards on the page; older results are in the history
const FEW = 8; // rows of an archive on its card

const open = []; // {item, article, redraw}, the latest first
const waiting = [];
let running = 0;

// Results of this window with their files, which the server may not keep.
export const held = new Map();

export function take(files) {
  for (const file of files) {
    const item = { name: file.name || words.pasted, file, told: words.waiting };
    add(item);
    waiting.push(item);
  }
  if (location.hash && location.hash !== "#check") location.hash = "check";
  next();
}

function add(item) {
  const entry = { item, ...card(item, actsOf(item)) };
  if (item.job) entry.article.dataset.job = item.job;
  open.unshift(entry);
  $("cards").prepend(entry.article);
  while (open.length > MOST) drop(open.at(-1));
  $("none-yet").hidden = true;
}

function drop(entry) {
  open.splice(open.indexOf(entry), 1);
  clear(entry.article);
  entry.article.remove();
  if (entry.item.source?.startsWith("blob:") && !entry.item.result?.id) URL.revokeObjectURL(entry.item.source);
  $("none-yet").hidden = open.length > 0;
}

const entryOf = (item) => open.find((entry) => entry.item === item);
function changed(item, values) {
  Object.assign(item, values);
  const entry = entryOf(item);
  if (!entry) return;
  if (item.archive) drawArchive(entry);
  else entry.redraw();
}

export function actsOf(item) {
  return {
    check: (blob, name) => take([new File([blob], `${name}.png`, { type: "image/png" })]),
    gone: () => {
      held.delete(item.result.id);
      const entry = entryOf(item);
      if (entry) drop(entry);
      else location.hash = "history";
    },
    again: item.file && ((again) => {
      changed(again, { refusal: undefined, told: words.waiting, share: undefined });
      waiting.push(again);
      next();
    }),
    evidence: async (one) => {
      one.result.evidence = (await ask(`/v1/results/${one.result.id}/evidence`)).evidence;
    },
  };
}

export const redrawAll = () => open.forEach((entry) => (entry.item.archive ? drawArchive(entry) : entry.redraw()));

// What was refused for want of a key, or because the service was away, is tried again.
export function retry() {
  for (const { item } of open) {
    if (item.refusal && item.file && [0, 401].includes(item.refusal.status)) actsOf(item).again(item);
  }
}

function next() {
  while (running < AT_ONCE && waiting.length) {
    running += 1;
    work(waiting.shift()).finally(() => {
      running -= 1;
      next();
    });
  }
}

async function work(item) {
  try {
    const kind = await kindOf(item.file);
    if (kind === null) throw new Refusal(422, { code: "page.folder" });
    if (kind === "picture") await picture(item);
    else await begin(item, kind);
  } catch (error) {
    const refusal = error instanceof Refusal ? error : new Refusal(500, { detail: String(error) });
    changed(item, { refusal });
    tell(words.doneOf(item.name, words.failed));
  }
}

async function picture(item) {
  const source = item.source ?? URL.createObjectURL(item.file);
  const shows = await showable(source);
  changed(item, { source: shows ? source : undefined, told: words.judging });
  const query = new URLSearchParams({ heat: true, provenance: true, name: item.name });
  if (!shows) query.set("preview", "true");
  const busy = (seconds) => tell(words.busy(seconds));
  const answer = await call(`/v1/check?${query}`, { method: "POST", body: item.file, busy });
  const [result] = (await answer.json()).results;
  if (result.preview) {
    const { width, height, jpeg } = result.preview;
    item.preview = { source: `data:image/jpeg;base64,${jpeg}`, size: { width, height } };
  }
  await judged(item, { ...result, feedback: null, picture: false }, true);
}

async function judged(item, result, isPicture) {
  if (model === null) await loadModel();
  item.isPicture = isPicture;
  if (result.id) held.set(result.id, item);
  changed(item, { result });
  tell(words.doneOf(item.name, words.told[outcome(result.verdict)]));
}

async function begin(item, kind) {
  item.isClip = kind === "clip";
  const most = model?.limits.job_bytes;
  if (most && item.file.size > most) {
    throw new Refusal(413, { code: "request.too_large" });
  }
  const sent = (part) => changed(item, { told: words.uploading(share(part)), share: part });
  sent(0);
  const job = await send(`/v1/jobs?${new URLSearchParams({ name: item.name })}`, item.file, sent);
  if (item.isClip) item.source = URL.createObjectURL(item.file);
  else item.archive = true;
  await watch(item, job);
}

// A job that was begun before this page was opened, or by another window.
export async function resume() {
  const { jobs } = await ask("/v1/jobs?limit=50");
  for (const job of jobs.reverse()) {
    if (job.finished || document.querySelector(`[data-job="${job.id}"]`)) continue;
    const item = { name: job.name, file: null, archive: job.total > 1, isClip: job.total === 1, job: job.id };
    add(item);
    watch(item, job).catch((refusal) => changed(item, { refusal }));
  }
}

async function watch(item, first) {
  const began = Date.now();
  entryOf(item).article.dataset.job = first.id;
  item.job = first.id;
  const cancel = () => call(`/v1/jobs/${first.id}`, { method: "DELETE" }).catch(() => {});
  let state = first;
  const told = (job) => {
    state = job;
    if (job.total > 1) item.archive = true;
    const seconds = Math.round((Date.now() - began) / 1000);
    changed(item, {
      state: job, cancel: job.finished ? undefined : cancel,
      told: job.state === "queued" ? words.queued : words.looking(seconds),
      share: job.total > 1 ? job.done / job.total : undefined,
    });
  };
  told(first);
  const clock = setInterval(() => item.archive || told(state), 1000);
  try {
    state = await follow(first.id, told, { lost: () => tell(words.lost) });
  } finally {
    clearInterval(clock);
  }
  await ended(item, state);
}

async function ended(item, job) {
  if (job.state === "failed") {
    throw new Refusal(422, { code: job.error?.code, detail: job.error?.message });
  }
  if (job.state === "cancelled") {
    throw new Refusal(409, { code: "page.cancelled" });
  }
  if (item.archive) {
    const query = new URLSearchParams({ job: job.id, label: "fake", limit: FEW });
    item.rows = (await ask(`/v1/results?${query}`)).results;
    changed(item, { state: job });
    tell(words.doneOf(item.name, words.jobStates.done));
    return;
  }
  const { results: [result] } = await ask(`/v1/jobs/${job.id}/results`);
  await judged(item, result, false);
}

function drawArchive({ item, article }) {
  if (item.refusal) {
    item.archive = false;
    changed(item, {});
    return;
  }
  const { state: job } = item;
  clear(article);
  article.setAttribute("aria-label", item.name);
  const total = job?.total ?? 0;
  const told = make("div", { class: "told wide" }, make("h2", { class: "name" }, make("bdi", {}, item.name)),
    make("p", { class: "verdict waiting" }, words.jobStates[job?.state ?? "queued"]),
    make("p", {}, [total && words.jobProgress(job.done, total), job && words.jobCounts(job.fake, job.failed)]
      .filter(Boolean).join(" · ")));
  if (job?.finished) {
    if (item.rows?.length) told.append(make("ul", { class: "rows" }, ...item.rows.map((row) => resultRow(row))));
    told.append(make("p", {}, make("a", { href: `#job/${job.id}` }, words.allOfJob)));
  } else {
    told.append(make("progress", { "aria-label": item.name, ...(total ? { max: total, value: job.done } : {}) }),
      make("div", { class: "row" }, item.cancel && button(words.cancel, item.cancel)));
  }
  article.append(told);
}
