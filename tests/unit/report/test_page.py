"""The page: whole, safe, alone."""

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from mesoscope import report
from mesoscope.errors import MissingExtra, OutputError
from mesoscope.report.page import MEANINGS, notes, write_page
from mesoscope.report.record import Prediction

ADDRESS = re.compile(r"data:image/(png|jpeg);base64,([A-Za-z0-9+/=]+)")
EMPTY = {"meta", "img", "source", "br", "link"}


class Page(HTMLParser):
    """Text, tags and addresses; fails where a tag is not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.addresses = [], [], "", []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "href"):
                self.addresses.append(value)
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def show(tmp_path):
    """``show(evaluation)`` → the page, read."""

    def read(evaluation, **options):
        path = write_page(evaluation, tmp_path, **options)
        assert path == tmp_path / "report.html"
        return Page(path.read_text(encoding="utf-8"))

    return read


def test_everything_is_on_the_page(show, evaluation):
    page = show(evaluation, command="mesoscope evaluate faces \\\n  --model meso4")
    assert "61 labelled pictures (30 real, 31 fake)\nfrom 2 sources" in page.text
    assert "Higher is always more fake" in page.text
    for name, meaning in MEANINGS.items():
        assert meaning.title in page.text
        value = evaluation.overall.values[name]
        shown = f"{100 * value:.1f}\N{NO-BREAK SPACE}%" if meaning.percent else f"{value:.3f}"
        assert shown in page.text
    for heading in ("By source", "Curves", "Verdicts", "Not scored", "Limits", "Conditions"):
        assert heading in page.text
    assert "fake from p_fake 0.65 on and real below 0.35; between the two it is inconclusive" in (
        page.text
    )
    assert "meso4@01234567" in page.text
    assert "mesoscope evaluate faces \\\n  --model meso4" in page.text
    assert "calibrated by platt on validation" in page.text
    assert "Real, called fake" in page.text


def test_the_page_needs_no_network(show, evaluation):
    page = show(evaluation)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    others = {a for a in page.addresses if not a.startswith("data:image/")}
    assert others == {"metrics.json", "predictions.csv", "told.csv"}


def test_pictures_are_inside_and_beside(show, evaluation, tmp_path):
    page = show(evaluation)
    embedded = [ADDRESS.fullmatch(a) for a in page.addresses if a.startswith("data:")]
    assert all(embedded)
    pictures = [Image.open(io.BytesIO(base64.b64decode(found[2]))) for found in embedded]
    crops = [p for p in pictures if p.format == "JPEG"]
    assert {p.size for p in crops} == {(64, 64)}
    wrong = sum((p.p_fake >= 0.5) != p.label for p in evaluation.scored)
    assert len(crops) == min(20, wrong) > 5
    for name in ("roc", "precision_recall", "reliability", "scores", "mistakes"):
        with Image.open(tmp_path / f"{name}.png") as picture:
            picture.verify()


def test_names_are_shown_and_never_obeyed(show, evaluated, predictions):
    evil = '<script>alert("x")</script>'
    items = [
        dataclasses.replace(p, source=evil if i % 2 else p.source, group=evil)
        for i, p in enumerate(predictions)
    ]
    page = show(evaluated(items, note=evil), command=evil)
    assert "script" not in page.tags
    assert "b" not in page.tags[page.tags.index("ul") :][:3]
    assert page.text.count(evil) >= 3
    assert "gone.jpg: <b>damaged</b>: fetch it again" in page.text
    assert "twelve <drawn> faces" in page.text


def test_one_class_is_shown_with_what_cannot_be_said(show, evaluated):
    reals = [Prediction(f"{i}.jpg", 0, "s", str(i), "test", 0.1 * i, "real") for i in range(4)]
    page = show(evaluated(reals))
    assert "No fake picture in s" in page.text
    assert "nan" not in page.text
    assert "None: every scored picture lies on the right side of .5." in page.text
    assert "mean over sources" not in page.text


def test_nothing_scored_is_a_page_too(show, evaluated):
    error = {"code": "source.missing", "message": "x.jpg: no such file: check the path"}
    page = show(evaluated([Prediction("x.jpg", 1, "s", "x", "test", None, error=error)]))
    assert "x.jpg: no such file" in page.text
    assert "nan" not in page.text


def test_a_sheet_of_an_evaluation_before_does_not_stay(show, evaluation, evaluated, tmp_path):
    show(evaluation)
    assert (tmp_path / "mistakes.png").exists()
    show(evaluated([Prediction("r.jpg", 0, "s", "1", "test", 0.1, "real")]))
    assert not (tmp_path / "mistakes.png").exists()


def test_nearly_all_is_not_all(show, evaluated):
    items = [Prediction(f"{i}", i % 2, "s", str(i), "test", 0.4, "real") for i in range(4000)]
    items.append(Prediction("gone", 1, "s", "g", "test", None, reason="no_face"))
    page = show(evaluated(items))
    assert ">\N{NO-BREAK SPACE}99.9\N{NO-BREAK SPACE}%" in page.text
    assert "gone: no_face" in page.text
    assert "1 got no score. They lower" in page.text
    assert "could not be read" not in page.text.split("Not scored")[1]


def test_train_pictures_are_warned_of(evaluated, predictions):
    assert not any("train" in note for note in notes(evaluated(predictions)))
    items = [dataclasses.replace(predictions[0], split="train"), *predictions[1:]]
    (first, *_) = notes(evaluated(items))
    assert first.startswith("1 of the 61 pictures are of a train split")


def test_a_folder_that_is_gone_is_named(evaluation, tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        write_page(evaluation, tmp_path / "nowhere")


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_a_missing_extra_is_said_with_the_line_that_installs_it(monkeypatch, package):
    whole = report.importlib.import_module

    def without(name):
        if name == package:
            raise ImportError(name)
        return whole(name)

    monkeypatch.setattr(report.importlib, "import_module", without)
    with pytest.raises(MissingExtra, match=rf"{package} .*mesoscope\[report\]"):
        report.require()
