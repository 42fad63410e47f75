// Files in: dropped, pasted, chosen or taken; told apart by their first bytes, as the service does.
import { $, tell } from "./dom.js";
import { words } from "./words.js";

const AFTER = { "1a45dfa3": "clip", "4f676753": "clip", "464c5601": "clip", "000001ba": "clip", "000001b3": "clip",
  "3026b275": "clip", "504b0304": "archive", "504b0506": "archive" };
const PICTURE_BRANDS = ["avif", "avis", "mif1", "msf1", "heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"];
const ATOMS = ["moov", "mdat", "wide", "free", "skip"];
const STREAM_PACKET = 188; // of an MPEG transport stream

// picture, clip or archive; null where it cannot be read, as folders cannot.
export async function kindOf(file) {
  let head;
  try {
    head = new Uint8Array(await file.slice(0, 400).arrayBuffer());
  } catch {
    return null;
  }
  const text = (from, to) => String.fromCharCode(...head.slice(from, to));
  const first = [...head.slice(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (first in AFTER) return AFTER[first];
  if (text(0, 4) === "RIFF" && text(8, 12) === "AVI ") return "clip";
  if (text(4, 8) === "ftyp") return PICTURE_BRANDS.includes(text(8, 12)) ? "picture" : "clip";
  if (ATOMS.includes(text(4, 8))) return "clip";
  const packets = (at) => [0, 1].every((n) => head[at + n * (STREAM_PACKET + (at && 4))] === 0x47);
  return packets(0) || packets(4) ? "clip" : "picture";
}

// The address of a picture that this browser can show, with whether it can.
export function showable(source) {
  return new Promise((go) => {
    const picture = new Image();
    picture.onload = () => go(true);
    picture.onerror = () => go(false);
    picture.src = source;
  });
}

export function listen(take) {
  const zone = $("drop");
  let depth = 0;
  const over = (on) => {
    zone.classList.toggle("over", on);
    $("drop-told").textContent = on ? words.dropNow : words.drop;
  };
  const isFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (!isFiles(event)) return;
    depth += 1;
    over(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!isFiles(event)) return;
    depth -= 1;
    if (depth <= 0) over(false);
  });
  // A link or a picture of another page is an address: the browser would go there.
  const isAddress = (event) => event.dataTransfer?.types.includes("text/uri-list");
  document.addEventListener("dragover", (event) => (isFiles(event) || isAddress(event)) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!isFiles(event) && !isAddress(event)) return;
    event.preventDefault();
    depth = 0;
    over(false);
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
    else tell(words.pastedAddress);
  });
  document.addEventListener("paste", (event) => {
    if (event.target.matches("input, textarea")) return;
    const files = [...event.clipboardData.files];
    if (files.length) take(files.map(named));
    else tell(/^\s*https?:/.test(event.clipboardData.getData("text")) ? words.pastedAddress : words.nothingPasted);
  });
  $("files").addEventListener("change", (event) => {
    take([...event.target.files]);
    event.target.value = "";
  });
  $("choose").addEventListener("click", () => $("files").click());
  $("sample").addEventListener("click", async () => {
    const answer = await fetch("sample.jpg");
    take([new File([await answer.blob()], words.sampleName, { type: "image/jpeg" })]);
  });
}

// Browsers call every pasted picture image.png.
function named(file) {
  if (file.name && file.name !== "image.png") return file;
  return new File([file], `${words.pasted}.${file.type.split("/")[1] || "png"}`, { type: file.type });
}
