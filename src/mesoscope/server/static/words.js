// Every text that the page shows by itself, in one place; what a label says comes from the service.
import { reasons, told } from "./labels.js";

export const words = {
  judging: (n) => (n === 1 ? "Judging one picture …" : `Judging ${n} pictures …`),
  done: (n) => (n === 1 ? "One picture judged." : `${n} pictures judged.`),
  busy: (s) => `The service is busy. Trying again in ${s} s …`,
  unreachable: "The service cannot be reached. Is it still running?",
  needsKey: "This service asks for a key. Enter it below, then choose the pictures again.",
  told,
  reasons,
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
