// Elements, made without markup: no text from outside is ever read as HTML.
export const $ = (id) => document.getElementById(id);

export function make(tag, given = {}, ...inside) {
  return filled(document.createElement(tag), given, inside);
}

export function draw(tag, given = {}, ...inside) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), given, inside);
}

function filled(element, given, inside) {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value); // an attribute would need 'unsafe-inline'
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...inside.filter((part) => part !== null && part !== undefined && part !== false));
  return element;
}

export const button = (text, onclick, given = {}) =>
  make("button", { type: "button", onclick, ...given }, text);

// Text of the server, which speaks English only.
export const english = (text, tag = "span", given = {}) => make(tag, { lang: "en", ...given }, text);

// Tell a screen reader, and whoever looks, what happened.
export function tell(text) {
  $("status").textContent = text;
}

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// A part that says when it leaves the page, so that what it holds is let go.
export const ending = new WeakMap();
export function clear(element) {
  for (const part of element.querySelectorAll("[data-ends]")) ending.get(part)?.();
  element.replaceChildren();
}
export function atEnd(element, act) {
  element.dataset.ends = "";
  ending.set(element, act);
}
