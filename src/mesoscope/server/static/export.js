// Results as files, in the shapes that `mesoscope scan` writes.
const COLUMNS = ["source", "kind", "label", "p_fake", "reason", "faces", "model", "error_code", "error_message"];

export function rowsOf(results, form) {
  const verdicts = results.map((result) => result.verdict);
  if (form === "jsonl") return verdicts.map((verdict) => `${JSON.stringify(verdict)}\n`).join("");
  const line = (cells) => `${cells.map(cell).join(",")}\r\n`;
  return line(COLUMNS) + verdicts.map((v) => line([
    v.source, v.kind, v.label, v.p_fake, v.reason, v.faces.length, v.model, v.error?.code, v.error?.message,
  ])).join("");
}

// Spreadsheets take a cell that begins so for a formula; a file may be named like one.
function cell(value) {
  const text = String(value ?? "");
  const calm = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(calm) ? `"${calm.replaceAll('"', '""')}"` : calm;
}
