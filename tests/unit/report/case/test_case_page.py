import base64
import hashlib
import itertools
import os
import re
import tracemalloc
from html.parser import HTMLParser

import pytest

from mesoscope.errors import OutputError
from mesoscope.report.case.page import write_page
from mesoscope.report.case.seal import read_seal
from mesoscope.types import FaceScore, Person

NASTY = '"><script>alert(1)</script><img src=x onerror=alert(2)>.jpg'


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, text by element."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(
            " ".join(data for tag, data in self.texts if tag not in ("script", "style")).split()
        )


@pytest.fixture
def page_of(contents_of, tmp_path):
    def make(verdicts, **options):
        path = tmp_path / "report.html"
        write_page(contents_of(verdicts, **options), path)
        return Page(path.read_text("utf-8"))

    return make


def test_everything_is_in_the_one_file(page_of, verdict_of, face_file):
    page = page_of([verdict_of(face_file(), 0.9)])
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster", "style"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/", "#")), (tag, name, value)
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(
        r"url\(|@import|https?://", "".join(d for t, d in page.texts if t == "style")
    )
    assert len(page.all("img")) == 2
    assert all(image["alt"] for image in page.all("img"))


def test_the_policy_allows_our_script_and_style_and_no_other(page_of, verdict_of):
    page = page_of([verdict_of("a")])
    (policy,) = [m["content"] for m in page.all("meta") if "http-equiv" in m]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    script = [data for tag, data in page.texts if tag == "script" and "use strict" in data]
    style = [data for tag, data in page.texts if tag == "style"]
    found = {base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in script + style}
    assert found == allowed


def test_names_do_nothing_and_hide_nothing(page_of, verdict_of, unreadable, tmp_path, face_file):
    bad = face_file("\u202egpj.\u05d0<b>.jpg")
    page = page_of(
        [verdict_of(NASTY, 0.9), unreadable(NASTY, NASTY), verdict_of(bad, 0.8),
         verdict_of(os.fsdecode(b"caf\xe9 </script>"), 0.7, notes=(NASTY,))],
        title=NASTY, analyst=NASTY,
    )  # fmt: skip
    scripts = [a for a in page.all("script") if a.get("type") != "application/json"]
    assert len(scripts) == 1
    assert not [image for image in page.all("img") if not image["src"].startswith("data:")]
    assert NASTY in page.text
    assert "\\u202egpj.\u05d0<b>.jpg" in page.text
    assert "caf\\xe9 </script>" in page.text
    assert "\u202e" not in "".join(data for _, data in page.texts)


def test_the_page_says_what_it_must(page_of, verdict_of, unreadable, face_file):
    path = face_file()
    page = page_of([verdict_of(path, 0.93), unreadable("broken.jpg"), verdict_of("gone.jpg", 0.5)])
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    for words in (
        "3 files: 1 fake, 1 inconclusive, 1 not readable.",
        "7/2026",
        "Called fake: p_fake is 0.930, at or above the threshold 0.7.",
        "The file could not be read when this report was made",
        "What the score means",
        "This is an answer, and often the right one.",
        "Where it fails",
        "What the file says of itself",
        "SHA-256 of the settings",
        "It is not signed.",
        sha256,
    ):
        assert words in page.text, words


def test_who_has_no_say_in_a_clips_verdict_is_named(page_of, verdict_of):
    faces = tuple(FaceScore((0, 0, 9, 9), 1.0, 0.9, time_s=t / 2, person=0) for t in range(4))
    behind = Person(0, "fake", 0.9, 4, 0.0, 1.5, face_px=63.0, background=True)
    clip = verdict_of("c.mp4", 0.9, kind="clip", faces=faces, persons=(behind,))
    assert "in the background: no say in the verdict" in page_of([clip]).text


def test_headings_and_controls_have_names(page_of, verdict_of, face_file):
    page = page_of([verdict_of(face_file(), 0.9), verdict_of("b")])
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert all(head.get("scope") in ("col", "row") for head in page.all("th"))
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in page.all("svg"))
    assert page.all("html") == [{"lang": "en"}]
    identities = [a["id"] for _, a in page.elements if "id" in a]
    assert len(identities) == len(set(identities))
    targets = {a["href"][1:] for a in page.all("a")}
    assert targets <= set(identities)


def test_one_file_needs_no_statistics(page_of, verdict_of):
    page = page_of([verdict_of("a")], settings=False)
    assert "Distribution of the scores" not in page.text
    assert "does not say by which settings" in page.text
    assert "was not at hand" in page.text  # the model's file


def test_nothing_at_all_is_a_report_too(page_of):
    assert "0 files: nothing to judge." in page_of([]).text


def test_many_files_are_all_in_the_table_in_flat_memory(contents_of, verdict_of, tmp_path):
    peaks = []
    for count in (1000, 4000):  # the second report holds both
        contents = contents_of([verdict_of(f"{i:05}.jpg", i % 100 / 100) for i in range(count)])
        path = tmp_path / "r.html"
        tracemalloc.start()
        try:
            write_page(contents, path)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    text = path.read_text()
    assert text.count('{"source":"') == 5000
    assert text.count('<article id="item-') == 24
    assert peaks[1] - peaks[0] < 200_000 < len(text)


def test_a_report_replaces_one_that_stood_there_and_leaves_nothing_else(
    contents_of, verdict_of, tmp_path
):
    path = tmp_path / "out" / "r.html"
    path.parent.mkdir()
    path.write_text("before")
    digest = write_page(contents_of([verdict_of("a")]), path)
    assert [p.name for p in path.parent.iterdir()] == ["r.html"]
    found = read_seal(path)
    assert found.intact
    assert found.content_sha256 == digest


def test_a_place_that_cannot_be_written(contents_of, verdict_of, tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_page(contents_of([verdict_of("a")]), tmp_path / "none" / "r.html")
