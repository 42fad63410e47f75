"use strict";
// The table of all files: sorted, filtered and paged from the record inside this page. Names come
// from strangers: they are only ever set as text, never as markup.
(() => {
  const data = (id) => JSON.parse(document.getElementById(id).textContent);
  const record = data("mesoscope-record");
  const { words, reasons } = data("mesoscope-words");
  const $ = (id) => document.getElementById(id);
  const body = $("table").tBodies[0];
  const rank = { fake: 4, inconclusive: 3, real: 2, none: 1, unreadable: 0 };

  const items = record.items.map((row, place) => {
    const name = row.shown ?? row.source;
    const why = row.error ? row.error.message : reasons[row.reason] ?? row.reason ?? "";
    const text = `${name}\n${why}\n${row.sha256 ?? ""}\n${(row.notes ?? []).join("\n")}`;
    return { row, place, name, why, text: text.toLowerCase() };
  });

  const value = {
    standing: (one) => rank[one.row.standing],
    p_fake: (one) => one.row.p_fake ?? -1,
    source: (one) => one.name,
    reason: (one) => one.why,
    faces: (one) => one.row.persons ?? one.row.faces,
    bytes: (one) => one.row.bytes ?? -1,
    sha256: (one) => one.row.sha256 ?? "",
  };
  const byText = new Intl.Collator("en", { numeric: true }).compare;
  let sortKey = "standing", falling = true, page = 0, chosen = items;

  function make(tag, text, className) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  }

  function bytes(n) {
    if (n === null) return "–";
    if (n < 1000) return `${n} B`;
    let unit = "";
    for (unit of ["kB", "MB", "GB", "TB"]) { n /= 1000; if (n < 999.5) break; }
    return `${Number(n.toPrecision(3)).toLocaleString("en")} ${unit}`;
  }

  function score(p) {
    if (p === null) return "–";
    if (p >= 0.9995) return ">0.999";
    return p < 0.0005 ? "<0.001" : p.toFixed(3);
  }

  function name(one) {
    const shown = make("bdi", one.name);
    const link = one.row.number ? make("a") : undefined;
    if (link) { link.href = `#item-${one.row.number}`; link.append(shown); }
    const more = make("details"), list = make("dl");
    const facts = [["Verdict", words[one.row.standing]], ["Why", one.why], ["SHA-256", one.row.sha256],
      ["When it was judged", one.row.judged_sha256], ["Size", bytes(one.row.bytes)], ["Kind", one.row.kind],
      ["Faces judged", one.row.faces], ["Persons", one.row.persons], ["Model", one.row.model], ["Notes", (one.row.notes ?? []).join(" ")]];
    for (const [term, fact] of facts) {
      if (fact !== undefined && fact !== null && fact !== "") list.append(make("dt", term), make("dd", String(fact)));
    }
    more.append(make("summary", "details"), list);
    const cell = make("td", undefined, "c-source");
    cell.append(link ?? shown, more);
    return cell;
  }

  function line(one) {
    const row = make("tr"), verdict = make("td", undefined, "c-standing"), hash = make("td", undefined, "c-sha256");
    verdict.append(make("span", words[one.row.standing], `badge ${one.row.standing}`));
    hash.append(make("code", (one.row.sha256 ?? "–").slice(0, 12)));
    row.append(verdict, make("td", score(one.row.p_fake), "c-p_fake"), name(one),
      make("td", one.why, "c-reason"), make("td", String(value.faces(one)), "c-faces"),
      make("td", bytes(one.row.bytes), "c-bytes"), hash);
    return row;
  }

  function show() {
    const size = $("size").value === "all" ? Math.max(chosen.length, 1) : Number($("size").value);
    const pages = Math.max(1, Math.ceil(chosen.length / size));
    page = Math.min(page, pages - 1);
    const from = page * size, some = chosen.slice(from, from + size);
    body.replaceChildren(...some.map(line));
    const n = (x) => x.toLocaleString("en");
    const noun = items.length === 1 ? "file" : "files";
    const part = chosen.length === items.length ? `${n(items.length)} ${noun}` : `${n(chosen.length)} of ${n(items.length)} ${noun}`;
    $("count").textContent = some.length ? part + (pages > 1 ? `, rows ${n(from + 1)} to ${n(from + some.length)}` : "") : `${part}: nothing fits`;
    $("page").textContent = `Page ${n(page + 1)} of ${n(pages)}`;
    $("back").disabled = page === 0;
    $("next").disabled = page === pages - 1;
    $("pages").hidden = pages === 1;
  }

  function choose() {
    const text = $("find").value.trim().toLowerCase(), which = $("which").value;
    const least = $("least").value === "" ? -1 : Number($("least").value);
    const of = value[sortKey], sign = falling ? -1 : 1;
    chosen = items.filter((one) => (!which || one.row.standing === which) && (!text || one.text.includes(text)) && (one.row.p_fake ?? -1) >= least);
    chosen.sort((a, b) => {
      const x = of(a), y = of(b);
      const order = typeof x === "string" ? byText(x, y) : x - y;
      if (order) return sign * order;
      return value.p_fake(b) - value.p_fake(a) || a.place - b.place;
    });
    page = 0;
    show();
  }

  for (const head of $("table").tHead.rows[0].cells) {
    const key = head.dataset.key, button = make("button", head.textContent);
    button.type = "button";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      falling = key === sortKey ? !falling : !["source", "reason", "sha256"].includes(key);
      sortKey = key;
      for (const other of $("table").tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      choose();
    });
  }
  $("tools").addEventListener("submit", (event) => event.preventDefault());
  let waiting = 0;
  $("find").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(choose, 120); });
  for (const id of ["which", "least"]) $(id).addEventListener("input", choose);
  $("size").addEventListener("input", () => { page = 0; show(); });
  $("back").addEventListener("click", () => { page -= 1; show(); });
  $("next").addEventListener("click", () => { page += 1; show(); });
  // What a browser kept in the fields over a reload must be in force, so that shown and set agree.
  $("tools").hidden = items.length < 2;
  choose();
})();
