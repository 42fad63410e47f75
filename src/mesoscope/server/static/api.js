// Requests to the service: its key, its refusals, and patience where it is busy.
const STORED = "mesoscope-key";
const TRIES = 8;

let key = "";
try {
  key = sessionStorage.getItem(STORED) || "";
} catch {
  // storage is turned off: the key lives as long as the page
}

export const hasKey = () => key !== "";
export function takeKey(text) {
  key = text.trim();
  try {
    sessionStorage.setItem(STORED, key);
  } catch {
    // as above
  }
}

const headers = () => (key ? { Authorization: `Bearer ${key}` } : {});
const wait = (s) => new Promise((go) => setTimeout(go, s * 1000));

// What the service refuses, as its problem JSON tells; status 0 where it cannot be reached.
export class Refusal extends Error {
  constructor(status, { code, detail } = {}) {
    super(detail ?? `HTTP ${status}`);
    this.status = status;
    this.detail = detail;
    this.code = code ?? (status ? "service.failed" : "unreachable");
  }
}

async function refusalOf(answer) {
  const refusal = new Refusal(answer.status, await answer.json().catch(() => ({})));
  if (answer.status === 401) document.dispatchEvent(new CustomEvent("key-wanted", { detail: refusal }));
  return refusal;
}

// One request; asked again where the service says when to come back.
export async function call(path, { method = "GET", body, type, signal, busy } = {}) {
  for (let tries = 1; ; tries += 1) {
    let answer;
    try {
      const sent = type ? { ...headers(), "Content-Type": type } : headers();
      answer = await fetch(path, { method, body, headers: sent, signal });
    } catch (error) {
      throw signal?.aborted ? error : new Refusal(0);
    }
    if (answer.ok) return answer;
    const seconds = Number(answer.headers.get("Retry-After"));
    if (tries >= TRIES || !seconds || ![429, 503].includes(answer.status)) throw await refusalOf(answer);
    busy?.(seconds);
    await wait(seconds);
  }
}

export const ask = async (path, options) => (await call(path, options)).json();

export const post = (path, value) =>
  ask(path, { method: "POST", body: JSON.stringify(value), type: "application/json" });

// An upload that says how far it is; fetch cannot.
export function send(path, file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => progress(event.loaded / (event.total || 1)));
    request.addEventListener("error", () => reject(new Refusal(0)));
    request.addEventListener("load", async () => {
      const answer = new Response(request.response, { status: request.status });
      if (answer.ok) resolve(await answer.json());
      else reject(await refusalOf(answer));
    });
    request.responseType = "blob";
    request.send(file);
  });
}

// Follow a job to its end; gives back its last state. EventSource cannot carry a key, so the events are read here.
export async function follow(id, told, { signal, lost } = {}) {
  for (;;) {
    try {
      const answer = await call(`/v1/jobs/${id}/events`, { signal });
      for await (const job of events(answer.body)) {
        told(job);
        if (job.finished) return job;
      }
    } catch (error) {
      if (signal?.aborted || error.status === 404 || error.status === 401) throw error;
      lost?.();
    }
    await wait(2);
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const whole = text.split("\n\n");
    text = whole.pop();
    for (const event of whole) {
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data) yield JSON.parse(data.slice(6));
    }
  }
}

export const keptBlob = async (id) => (await call(`/v1/results/${id}/picture`)).blob();

// Address of a kept file for <img> and <video>; with a key, it is fetched first.
export async function keptFile(id) {
  return key ? URL.createObjectURL(await keptBlob(id)) : `/v1/results/${id}/picture`;
}
