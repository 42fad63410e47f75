// Every text that the page shows by itself, in one place.
export const words = {
  judging: (n) => (n === 1 ? "Judging one picture …" : `Judging ${n} pictures …`),
  done: (n) => (n === 1 ? "One picture judged." : `${n} pictures judged.`),
  busy: (s) => `The service is busy. Trying again in ${s} s …`,
  unreachable: "The service cannot be reached. Is it still running?",
  needsKey: "This service asks for a key. Enter it below, then choose the pictures again.",
  told: {
    fake: "A face looks forged",
    real: "No sign of a forgery known to this model",
    inconclusive: "The model cannot tell",
    none: "No face to judge",
    error: "This file could not be read",
  },
  reasons: {
    between_thresholds: "The score lies between the two thresholds.",
    unfamiliar: "A face is unlike those that the model learnt from.",
    face_not_seen: "No face was found. The score is of the whole picture, were it a face crop.",
    no_face: "No face was found, so there is nothing to judge. Nothing is said of the picture.",
    face_too_small: "Only faces were found that are too small to be judged.",
    few_frames: "A face was seen in too few frames.",
    background_face: "Only a small face in the background looks forged.",
  },
  score: (p) => `p_fake ${p.toFixed(3)}; higher is more fake`,
  scaleLabel: (p, low, high) =>
    `Score ${p.toFixed(3)} on a scale from 0 to 1. Below ${low.toFixed(3)}: no known sign. ` +
    `From ${high.toFixed(3)} on: fake. Between them the model cannot tell.`,
  ends: ["0: no known sign", "1: fake"],
  faces: (n) => (n === 1 ? "One face judged." : `${n} faces judged.`),
  showHeat: "Show where the score comes from",
  hideHeat: "Hide where the score comes from",
  picture: (name) => `The picture ${name}, its faces boxed`,
  model: (m) => `Model ${m.id}, mesoscope ${m.version}. ` +
    (m.keep_days ? `Results are kept for ${m.keep_days} days.` : "No picture is kept."),
};
