"""An audit's page: whole, safe, alone; and what a browser makes of it."""

import math
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from mesoscope.data.audit.finding import (
    Audit,
    AuditFinding,
    CombinedCues,
    Cue,
    CueValue,
    Example,
    SplitCount,
)
from mesoscope.errors import OutputError
from mesoscope.report import audit as words
from mesoscope.report.audit import bar, examples, matrix, write_audit_page

NASTY = 'a"><img src=x onerror="document.title=1"><script>document.title=1</script>.jpg'
EMPTY = {"meta", "img", "source", "br", "link", "rect"}


class Page(HTMLParser):
    """Text, tags, addresses and headings; fails where a tag is not closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.addresses = [], [], "", []
        self.alts, self.headings = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        attrs = dict(attrs)
        self.addresses += [attrs[name] for name in ("src", "srcset", "href") if name in attrs]
        if tag == "img":
            self.alts.append(attrs["alt"])
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.text += " " * (tag in ("td", "th", "title", "summary"))

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data


def example(path, label=0, *, pair=0, says="PNG"):
    return Example(path, label, "camera", "train", says, pair)


@pytest.fixture
def audit():
    """An audit with something of each kind."""
    copies = [example(f"{n}.jpg", n % 2, pair=n // 2, says="a copy") for n in range(4)]
    return Audit(
        root="/sets/faces",
        pictures=1234,
        groups=321,
        parts=(SplitCount("camera", "train", 500, 510), SplitCount("web", "train", 100, 124)),
        findings=(
            AuditFinding(
                "cue.format", "severe", "The file format alone tells 99 % apart", "How measured.",
                "Encode alike.", 1234, action="encode",
                examples=(example(NASTY, 1), example("b.jpg")),
            ),
            AuditFinding(
                "repeats.across_splits", "severe", "4 pictures stand in two splits", "",
                "Drop them.", 4, scope="camera", action="drop", drop=("0.jpg",),
                examples=tuple(copies),
            ),
            AuditFinding("cue.size", "warning", "Sizes differ", "", "Resize.", 10, scope="web"),
            AuditFinding("balance", "note", "More fakes than reals", "", "", 3),
        ),
        cues=(
            Cue("format", "file format", "", 0.991, 0.98, 0.999, 600, 634,
                (CueValue("png", 0, 634),)),
            Cue("suffix", "suffix", "", 0.97, 0.96, 0.98, 600, 634),
            Cue("sharpness", "sharpness", "", 0.52, 0.47, 0.56, 600, 634),
            Cue("width", "width", "camera", 0.5, math.nan, math.nan, 500, 510),
            Cue("width", "width", "web", 0.8, 0.75, 0.85, 100, 124),
        ),
        together=(
            CombinedCues("", 0.998, 0.99, 1.0, 0.987, 1234, (("format", 0.3), ("width", 0.001))),
            CombinedCues("camera", 0.5, 0.45, 0.55, 0.5, 1010),
            CombinedCues("web", 1.0, 1.0, 1.0, 1.0, 224, (("format", 0.4),)),
        ),
        not_done=("Wrong labels were not looked for.",),
        seconds={"reading": 3.21, "cues": 0.5},
    ).to_dict()  # fmt: skip


@pytest.fixture
def pictures(tmp_path):
    """Pictures of the examples; one of them is spoilt, and one has a place in its EXIF."""
    found = {}
    for number, name in enumerate(("0.jpg", "1.jpg", "2.jpg", "3.jpg", "b.jpg", NASTY)):
        path = tmp_path / f"picture{number}.jpg"
        pixels = np.random.default_rng(number).integers(0, 255, (300, 200, 3), np.uint8)
        exif = Image.Exif()
        exif[0x010E] = "Secret place"
        Image.fromarray(pixels).save(path, exif=exif)
        found[name] = str(path)
    (tmp_path / "picture2.jpg").write_bytes(b"spoilt")
    return found


FAMILIES = {"format": "format", "suffix": "format", "width": "size", "sharpness": "sharpness"}


def shown(audit, path, **options):
    text = write_audit_page(audit, path, families=FAMILIES, **options).read_text("utf-8")
    return Page(text), text


def test_the_page_says_everything(audit, pictures, tmp_path):
    page, _ = shown(
        audit, tmp_path / "a.html", pictures=pictures,
        command="mesoscope audit faces", fix="mesoscope audit faces --fix --out clean",
    )  # fmt: skip
    said = " ".join(page.text.split()).replace("\N{NO-BREAK SPACE}", " ")
    assert "Audit of faces" in said
    assert "99 % of this set can be told without looking at a face; guessing gives 50 %." in said
    assert "2 severe findings, 1 warning, 1 note." in said
    for one in audit["findings"]:
        assert one["title"] in said
        assert one["kind"] in said
        assert one["fix"] in said
    assert "What to do: Encode alike. (--fix does it.)" in said
    assert "What to do: Resize. " in said
    assert ".991 [.98, .999]" not in said  # two digits do where there is no need of three
    assert ".99 [.98, .999] severe" in said
    assert "file format its values value real fake png 0 634" in said
    assert "camera train 500 510 50 %" in said
    assert "all 600 634 51 %" in said
    assert "Wrong labels were not looked for." in said
    assert "mesoscope audit faces --fix --out clean" in said
    assert "It took 3.7 seconds: reading 3.21, cues 0.5." in said


def test_options_stand_as_the_command_line_takes_them():
    assert words.options("Drop <them>: `fix` does; `check_faces` too.") == (
        "Drop &lt;them&gt;: <code>--fix</code> does; <code>--check-faces</code> too."
    )


def test_it_goes_by_what_costs_something(audit, tmp_path):
    said = " ".join(shown(audit, tmp_path / "a.html")[0].text.split())
    rows = re.search(r"the whole set(.*?)camera(.*?)web(.*?)Told rightly", said)
    assert [row.split()[-2:] for row in rows.groups()] == [
        ["file", "format"], [".55]", "–"], ["file", "format"],
    ]  # fmt: skip


def test_it_stands_alone_and_holds_no_metadata(audit, pictures, tmp_path):
    page, text = shown(audit, tmp_path / "a.html", pictures=pictures)
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.addresses)
    assert len(page.addresses) == 5  # one is spoilt
    assert page.text.count("cannot be shown") == 1
    assert "default-src 'none'" in text
    assert "script" not in page.tags
    assert "Secret" not in text
    assert not re.search(r"https?://|@import|url\(", text)


def test_names_do_nothing(audit, pictures, tmp_path):
    page, text = shown(audit, tmp_path / "a.html", pictures=pictures)
    assert "<script" not in text
    assert NASTY in page.text
    assert f"fake picture {NASTY}: PNG" in page.alts


def test_without_pictures_there_is_none(audit, tmp_path):
    page, text = shown(audit, tmp_path / "a.html")
    assert "img" not in page.tags
    assert "data:image" not in text
    assert "b.jpg" in page.text
    assert "cannot be shown" not in page.text


def test_headings_skip_no_level(audit, tmp_path):
    page, _ = shown(audit, tmp_path / "a.html")
    assert page.headings[0] == 1
    steps = zip(page.headings, page.headings[1:], strict=False)
    assert all(after <= before + 1 for before, after in steps)


def test_what_belongs_together_stands_together(audit):
    together = examples(audit["findings"][1], None)
    assert [[one.path for one in pair] for pair in together] == [
        ["0.jpg", "1.jpg"], ["2.jpg", "3.jpg"],
    ]  # fmt: skip


def test_facts_of_a_family_share_a_severity(audit):
    assert words.severities(audit, FAMILIES) == {
        ("format", ""): "severe", ("suffix", ""): "severe", ("width", "web"): "warning",
    }  # fmt: skip


def test_cues_by_source_are_a_table(audit):
    rows = matrix(audit, ["camera", "web"], {("width", "web"): "warning"})
    assert [title for title, _ in rows] == ["width"]
    assert [(cue["auc"], severity) for cue, severity in rows[0][1]] == [(0.5, ""), (0.8, "warning")]


@pytest.mark.parametrize(
    ("auc", "low", "high", "ends"),
    [(0.75, 0.7, 0.8, (50, 40, 60)), (0.45, 0.4, 0.6, (0, 0, 20)), (1, None, None, (100,) * 3)],
)
def test_bars_go_from_chance_to_perfect(auc, low, high, ends):
    assert bar({"auc": auc, "low": low, "high": high}) == ends
    assert bar({"auc": None, "low": low, "high": high}) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "50 %"), (0.987, "99 %"), (0.9961, "99.6 %"), (0.99999, "99.9 %"), (1, "100 %"),
     (None, "–")],
)  # fmt: skip
def test_shares_are_never_rounded_to_all(value, text):
    assert words.percent(value).replace("\N{NO-BREAK SPACE}", " ") == text


def test_headlines(audit):
    clean = audit | {"findings": [], "together": [audit["together"][1] | {"scope": ""}]}
    line = words.headline(clean)
    assert (line.severity, line.more) == ("good", "Nothing else was found.")
    assert line.line.startswith("What the files say of themselves does not tell real from fake: 50")
    one = words.headline(audit | {"together": audit["together"][1:]})
    assert one.line.replace("\N{NO-BREAK SPACE}", " ").startswith("100 % of web can be told")
    assert words.headline(audit | {"together": []}).line.endswith("could not be measured.")


def test_a_page_that_cannot_be_written(audit, tmp_path):
    (tmp_path / "a file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be written"):
        write_audit_page(audit, tmp_path / "a file/a.html")


@pytest.mark.parametrize("width", [400, 1280])
def test_a_browser_shows_it_without_scrolling_aside(audit, pictures, tmp_path, width):
    """The page's own width never grows beyond the window; wide tables scroll within themselves."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium on this machine: the page is not looked at in a browser")
    path = tmp_path / "a.html"
    write_audit_page(audit, path, pictures=pictures, families=FAMILIES, command="x" * 300)
    # The page's policy allows no script; this copy's does, to measure it in a frame of that width.
    text = path.read_text("utf-8").replace("default-src 'none';", "")
    path.write_text(text, "utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe id="f" src="a.html" style="width:{width}px;height:900px;border:0"></iframe>'
        "<pre id='probe'></pre><script>onload=()=>{const d=document.getElementById('f')"
        ".contentDocument,e=d.documentElement;document.getElementById('probe').textContent="
        "[e.scrollWidth,e.clientWidth,[...d.images].filter(i=>i.naturalWidth>0).length,d.title]"
        ".join('|')}</script>",
        "utf-8",
    )
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000",
         "--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}",
         "--window-size=1400,1000", "--dump-dom", frame.as_uri()],
        capture_output=True, timeout=240,
    )  # fmt: skip
    found = re.search(r"<pre id=\"probe\">(.+?)</pre>", done.stdout.decode())
    assert found, done.stderr.decode()[-2000:]
    inner, outer, images, title = found[1].split("|")
    assert int(inner) <= int(outer) <= width
    assert (images, title) == ("5", "Audit of faces")
