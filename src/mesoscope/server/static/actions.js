// What can be done with a result: say something of it, hand it over, forget it.
import { Refusal, call, post } from "./api.js";
import { button, make, save, tell } from "./dom.js";
import { model, problemText } from "./model.js";
import { words } from "./words.js";

let rows = 0; // so that each form has ids of its own

export function actions(item, { gone }) {
  const { result } = item;
  if (!result.id) return [make("p", { class: "hint" }, words.notKept)];
  return [personSays(item), handOver(item, gone)];
}

function personSays(item) {
  const { result } = item;
  const name = `says-${(rows += 1)}`;
  const choice = (value) =>
    make("label", { class: "choice" },
      make("input", { type: "radio", name, value, required: true, checked: result.feedback?.says === value }),
      words.says[value]);
  const note = make("input", { type: "text", maxlength: 2000, value: result.feedback?.note ?? "", autocomplete: "off" });
  const done = make("span", { class: "done", role: "status" });
  const form = make("form", {
    class: "person",
    onsubmit: async (event) => {
      event.preventDefault();
      const says = form.querySelector("input:checked").value;
      try {
        result.feedback = (await post("/v1/feedback", { result: result.id, says, note: note.value })).feedback;
        done.textContent = words.saved;
      } catch (refusal) {
        done.textContent = problemText(refusal);
      }
    },
  },
  make("fieldset", {}, make("legend", {}, words.personSays),
    make("div", { class: "choices" }, ...["real", "forged", "unsure"].map(choice)),
    make("label", { class: "field" }, make("span", {}, words.saysNote), note),
    make("div", { class: "row" }, make("button", { type: "submit" }, words.save), done)));
  return form;
}

function handOver(item, gone) {
  const { result } = item;
  const field = (text) => {
    const input = make("input", { type: "text", maxlength: 200, autocomplete: "off" });
    return [make("label", { class: "field" }, make("span", {}, text), input), input];
  };
  const [caseField, caseName] = field(words.caseName);
  const [byField, by] = field(words.byName);
  const done = make("p", { class: "hint", role: "status" });
  const report = (form) => async (event) => {
    const pressed = event.currentTarget;
    pressed.disabled = true;
    done.textContent = words.reportMaking;
    try {
      const query = new URLSearchParams({ format: form, case: caseName.value, by: by.value });
      await fetchReport(item, query, form);
      done.textContent = words.reportDone;
    } catch (refusal) {
      done.textContent = refusal instanceof Refusal ? problemText(refusal) : words.failed;
    }
    pressed.disabled = false;
  };
  const json = () =>
    save(new Blob([JSON.stringify(result.verdict, null, 2)], { type: "application/json" }), `${stem(item.name)}.json`);
  const readable = !result.verdict.error;
  const file = result.picture ? "" : item.file ? words.reportWith : words.reportWithout;
  return make("details", { class: "hand-over" }, make("summary", {}, words.handOver),
    readable && make("div", { class: "pair" }, caseField, byField),
    make("div", { class: "row" },
      readable && button(words.reportPdf, report("pdf")),
      readable && button(words.reportHtml, report("html")),
      button(words.verdictJson, json)),
    done,
    readable && make("p", { class: "hint" }, [model.signs && words.reportSigned, file].filter(Boolean).join(" ")),
    make("div", { class: "row" }, button(words.forget, () => forget(item, gone), { class: "quiet" })));
}

// Where the server does not keep the file, this window still has it, and sends it along.
async function fetchReport(item, query, form) {
  const path = `/v1/results/${item.result.id}/report?${query}`;
  const sent = item.file && !item.result.picture ? { method: "POST", body: item.file } : {};
  save(await (await call(path, sent)).blob(), `report-${stem(item.name)}.${form}`);
}

export const stem = (name) => name.replace(/\.[^.]{1,5}$/, "").replace(/[^\p{L}\p{N}._-]+/gu, "-") || "result";

function forget(item, gone) {
  const yes = button(words.forgetYes, async () => {
    ask.close();
    try {
      await call(`/v1/results/${item.result.id}`, { method: "DELETE" });
    } catch (refusal) {
      tell(problemText(refusal));
      return;
    }
    tell(words.forgotten);
    gone();
  });
  const ask = make("dialog", { class: "ask", "aria-label": words.forget, onclose: () => ask.remove() },
    make("p", {}, words.forgetAsk),
    make("div", { class: "row" }, button(words.forgetNo, () => ask.close(), { autofocus: true }), yes));
  document.body.append(ask);
  ask.showModal();
}
