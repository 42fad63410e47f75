// The language in force: the one chosen before, else the browser's, else English. Texts are in words/.
import { words as de } from "./words/de.js";
import { words as en } from "./words/en.js";

export const languages = { en, de };
const STORED = "mesoscope-language";

export let language = first();
export let words = languages[language];

function first() {
  const wanted = [stored(), ...navigator.languages.map((tag) => tag.split("-")[0])];
  return wanted.find((tag) => tag in languages) || "en";
}

function stored() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null; // storage is turned off
  }
}

// Take another language and put all standing texts into it.
export function speak(tag) {
  language = tag;
  words = languages[tag];
  try {
    localStorage.setItem(STORED, tag);
  } catch {
    // it is asked for again next time
  }
  fill();
}

// Standing texts: each element says by data-word which it shows, by data-label what it is called.
export function fill(root = document) {
  document.documentElement.lang = language;
  document.documentElement.dir = words.dir;
  for (const element of root.querySelectorAll("[data-word]")) {
    element.textContent = find(element.dataset.word);
  }
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", find(element.dataset.label));
  }
}

const find = (path) => path.split(".").reduce((from, name) => from[name], words);

export const number = (value, digits = 0) =>
  value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
export const share = (value) => value.toLocaleString(language, { style: "percent" });
export const moment = (text) =>
  new Date(text).toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
