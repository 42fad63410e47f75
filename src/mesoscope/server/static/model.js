// The model in force, and what its thresholds say of a face.
import { ask } from "./api.js";
import { words } from "./words.js";

export let model = null;

export async function loadModel() {
  model = await ask("/v1/model");
  document.dispatchEvent(new Event("model-known"));
}

export const tone = (label) => label ?? "none";

// The verdict in a word: a label, none, or error.
export const outcome = (verdict) => (verdict.error ? "error" : verdict.label ?? "none");

export function faceLabel(face) {
  if (model === null) return "inconclusive";
  if (model.unfamiliar_above !== null && face.unfamiliar > model.unfamiliar_above) return "unfamiliar";
  if (face.p_fake >= model.fake_above) return "fake";
  return face.p_fake < model.real_below ? "real" : "inconclusive";
}

// Whether the picture was taken as a face, so that a box around it would say nothing.
export const isWhole = (verdict) => verdict.finder === "whole";

export const problemText = (refusal) =>
  refusal.status === 0 ? words.unreachable : words.problems[refusal.code] ?? words.failed;
