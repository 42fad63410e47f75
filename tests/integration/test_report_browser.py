"""The report's table in a real browser: sorted, filtered, paged, and safe from names."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess

import pytest

from mesoscope.report.case.contents import CaseDetails, collect, model_facts
from mesoscope.report.case.items import VerdictSpool
from mesoscope.report.case.page import write_page
from mesoscope.types import FaceScore, Person, Thresholds, Verdict

NASTY = '"><img src=x onerror="document.title=1"><script>document.title=1</script>'
COUNT = 10_000

PROBE = """
(() => {
  const found = {}, $ = (id) => document.getElementById(id);
  const all = (what) => [...document.querySelectorAll(`#table ${what}`)];
  const names = () => all("tbody .c-source bdi").map((e) => e.textContent);
  const scores = () => all("tbody .c-p_fake").map((e) => e.textContent);
  const set = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event("input")); };
  const sort = (key) => document.querySelector(`#table th[data-key=${key}] button`).click();
  const sorted = () => all("th[aria-sort]").map((e) => [e.dataset.key, e.ariaSort]);
  const count = () => $("count").textContent, page = () => $("page").textContent;
  found.start = {
    names: names(), scores: scores(), sorted: sorted(), count: count(), page: page(),
  };
  $("next").click();
  found.second = { names: names(), page: page(), back: $("back").disabled };
  $("back").click();
  sort("source");
  found.source = { names: names(), sorted: sorted() };
  sort("source");
  found.falling = { names: names(), sorted: sorted() };
  set("which", "real"); set("least", "0.2");
  sort("p_fake");
  found.real = { scores: scores(), count: count() };
  set("which", ""); set("least", ""); set("size", "all");
  found.all = names().length;
  set("size", "100");
  found.hundred = names().length;
  found.images = document.images.length;
  found.title = document.title;
  set("find", "IMG SRC=X");
  setTimeout(() => {
    found.found = { names: names(), count: count(), pages: $("pages").hidden };
    document.querySelector("#table details").open = true;
    found.details = document.querySelector("#table details dl").textContent;
    const note = document.createElement("pre");
    note.id = "probe";
    note.textContent = JSON.stringify(found);
    document.body.append(note);
  }, 400);
})();
"""


@pytest.fixture(scope="module")
def chromium():
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium on this machine: the table's sorting and filtering are not tried")


@pytest.fixture(scope="module")
def seen(chromium, tmp_path_factory):
    """What the browser shows of a report of ten thousand files."""
    path = tmp_path_factory.mktemp("browser") / "report.html"
    with VerdictSpool() as items:
        for i in range(COUNT):
            p = i * 7919 % COUNT / COUNT
            label = "fake" if p >= 0.7 else "real" if p < 0.3 else "inconclusive"
            name = f"photo {i}.jpg" if i != 5 else NASTY
            face = FaceScore((0, 0, 9, 9), 1.0, p)
            items.write(Verdict(name, "image", label, p, "m@00000000", faces=(face,)))
        contents = collect(
            items, CaseDetails.now(NASTY, version="0"), models=model_facts,
            thresholds=Thresholds(0.3, 0.7), pictures=3,
        )  # fmt: skip
        write_page(contents, path)
    # The page's policy allows no script but its own, so the probe's hash is let in.
    text = path.read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(PROBE.encode()).digest()).decode()
    text = text.replace("script-src '", f"script-src 'sha256-{digest}' '", 1)
    path.write_text(text.replace("</body>", f"<script>{PROBE}</script></body>"), "utf-8")
    return json.loads(html.unescape(dumped(chromium, path, r'<pre id="probe">(.*?)</pre>')))


def dumped(chromium, path, pattern):
    """What a pattern finds in a page once its script has run."""
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000",
         f"--user-data-dir={path.parent / 'profile'}", "--dump-dom", path.as_uri()],
        capture_output=True, timeout=240,
    )  # fmt: skip
    shown = re.search(pattern, done.stdout.decode(), re.DOTALL)
    assert shown, done.stderr.decode()[-2000:]
    return shown[1]


def test_one_clip_is_one_file_with_its_persons(chromium, tmp_path):
    faces = tuple(FaceScore((0, 0, 9, 9), 1.0, 0.5, time_s=t, person=t % 2) for t in range(8))
    people = tuple(Person(n, "inconclusive", 0.5, 4, 0.0, 7.0) for n in range(2))
    with VerdictSpool() as items:
        items.write(
            Verdict("a.mp4", "clip", "inconclusive", 0.5, "m@00000000", faces=faces, persons=people)
        )
        contents = collect(items, CaseDetails.now("One", version="0"), models=model_facts)
        write_page(contents, tmp_path / "r.html")
    pattern = r'<caption[^>]*id="count">(.*?)</tbody>'
    table = dumped(chromium, tmp_path / "r.html", pattern)
    assert table.startswith("1 file</caption>")
    assert '<td class="c-faces">2</td>' in table


def test_the_most_suspicious_stand_first(seen):
    start = seen["start"]
    assert len(start["names"]) == 25
    scores = [0.9999 if score == ">0.999" else float(score) for score in start["scores"]]
    assert scores == sorted(scores, reverse=True)
    assert start["sorted"] == [["standing", "descending"]]
    assert start["count"] == "10,000 files, rows 1 to 25"
    assert start["page"] == "Page 1 of 400"


def test_pages_are_turned(seen):
    assert len(seen["second"]["names"]) == 25
    assert not set(seen["second"]["names"]) & set(seen["start"]["names"])
    assert (seen["second"]["page"], seen["second"]["back"]) == ("Page 2 of 400", False)


def test_names_sort_by_their_numbers_both_ways(seen):
    rising, falling = seen["source"]["names"], seen["falling"]["names"]
    assert rising[:4] == [NASTY, "photo 0.jpg", "photo 1.jpg", "photo 2.jpg"]
    assert falling[0] == f"photo {COUNT - 1}.jpg"
    assert seen["source"]["sorted"] == [["source", "ascending"]]
    assert seen["falling"]["sorted"] == [["source", "descending"]]


def test_verdict_and_score_filter(seen):
    assert seen["real"]["count"].startswith("1,000 of 10,000 files")
    assert all(0.2 <= float(score) < 0.3005 for score in seen["real"]["scores"])


def test_all_rows_or_so_many(seen):
    assert (seen["all"], seen["hundred"]) == (COUNT, 100)


def test_names_are_found_and_do_nothing(seen):
    assert seen["found"]["names"] == [NASTY]
    assert seen["found"]["count"].startswith("1 of 10,000 files")
    assert seen["found"]["pages"]
    assert seen["images"] == 0
    assert seen["title"] == NASTY
    assert "Verdict" in seen["details"]
