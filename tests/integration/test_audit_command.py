"""``mesoscope audit`` as a user runs it, on sets that are honest and on sets that cheat."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mesoscope.cli.main import main
from mesoscope.data.audit.cues import FACTS
from mesoscope.data.manifest import read_dataset

ROOT = Path(__file__).parents[2]
CHEATS = {  # of make_honest_or_not → the finding that must come of it
    "format": "cue.format",
    "size": "cue.size",
    "quality": "cue.jpeg",
    "exif": "cue.metadata",
    "profile": "cue.metadata",
    "names": "cue.name",
    "copies": "repeats.across_splits",
    "both": "repeats.both_labels",
    "groups": "groups.across_splits",
    "spoilt": "pictures.unreadable",
}
FIVE = ("format", "size", "exif", "names", "copies")


@pytest.fixture
def audit(capsys):
    """``audit(DATASET, …)`` → exit code, standard output, standard error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["audit", *map(str, arguments)])
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return run


@pytest.fixture
def findings(audit, tmp_path):
    """``findings(DATASET)`` → the audit's findings by severity, from its JSON."""

    def run(root, *arguments):
        record = tmp_path / "findings.json"
        code, *_ = audit(root, "--no-suspects", "--json", record, *arguments)
        found = json.loads(record.read_text("utf-8"))["findings"]
        by = {
            severity: {one["kind"] for one in found if one["severity"] == severity}
            for severity in ("severe", "warning", "note")
        }
        assert code == (10 if by["severe"] else 1 if "pictures.unreadable" in sum_of(by) else 0)
        return by

    return run


def sum_of(by):
    return set().union(*by.values())


def state_of(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_an_honest_set_has_nothing_severe(make_honest_or_not, findings):
    found = findings(make_honest_or_not("honest"))
    assert found["severe"] == set()
    assert not {kind for kind in found["warning"] if kind.startswith("cue.")}


@pytest.mark.parametrize("cheat", CHEATS)
def test_each_way_to_cheat_is_found(make_honest_or_not, findings, cheat):
    assert CHEATS[cheat] in sum_of(findings(make_honest_or_not("cheat", cheat)))


def test_five_ways_at_once_are_found_and_mended(make_honest_or_not, findings, audit, tmp_path):
    root = make_honest_or_not("cheat", *FIVE)
    before = state_of(root)
    found = findings(root)
    assert {CHEATS[cheat] for cheat in FIVE} <= found["severe"] | found["warning"]
    assert len(found["severe"]) >= 5
    out = tmp_path / "mended"
    code, said, _ = audit(root, "--no-suspects", "--fix", "--out", out)
    assert code == 0
    assert "Nothing severe is left" in said
    assert state_of(root) == before
    assert findings(out)["severe"] == set()
    assert json.loads((out / "audit.json").read_text("utf-8"))["pictures"] == len(read_dataset(out))
    with (out / "what_was_done.csv").open(encoding="utf-8") as file:
        done = list(csv.DictReader(file))
    assert len(done) == len(before)
    assert {row["reason"] for row in done if not row["to"]} == {"repeats.across_splits"}
    # What is judged on stays; what is trained on gives way.
    assert {row["split_before"] for row in done if not row["to"]} == {"train"}


@pytest.mark.parametrize("cheat", [c for c in CHEATS if c not in FIVE])
def test_each_is_mended(make_honest_or_not, findings, audit, tmp_path, cheat):
    root, out = make_honest_or_not("cheat", cheat), tmp_path / "mended"
    code, *_ = audit(root, "--no-suspects", "--fix", "--out", out)
    assert code == 0
    after = findings(out)
    assert after["severe"] == set()
    assert CHEATS[cheat] not in sum_of(after)


def test_a_real_process_writes_page_and_json(make_honest_or_not, tmp_path):
    root = make_honest_or_not("cheat", "format", "spoilt")
    page, record = tmp_path / "audit.html", tmp_path / "audit.json"
    done = subprocess.run(
        [sys.executable, "-m", "mesoscope", "audit", root, "--report", page, "--json", record],
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 10, done.stderr
    assert "told without looking at a face" in done.stdout
    lines = done.stdout.splitlines()
    first = next(line for line in lines if line.startswith(("severe", "warning", "note")))
    assert first.startswith("severe")
    assert re.search(r"\[\.?\d+.*, ?\d?\.\d+\]|\d %", done.stdout)
    assert f"page: {page}" in done.stdout
    text = page.read_text("utf-8")
    assert text.count("data:image/jpeg;base64,") > 3
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    found = json.loads(record.read_text("utf-8"))
    assert found["pictures"] == 180
    assert not (root / "audit.html").exists()


def test_pages_without_pictures(make_honest_or_not, audit, tmp_path):
    root, page = make_honest_or_not("cheat", "format"), tmp_path / "audit.html"
    audit(root, "--no-suspects", "--no-pictures", "--report", page)
    assert "data:image" not in page.read_text("utf-8")


def test_a_sample_says_so_and_is_even(make_honest_or_not, audit, tmp_path):
    root, record = make_honest_or_not("honest"), tmp_path / "a.json"
    _, said, _ = audit(root, "--no-suspects", "--sample", "20", "--json", record)
    assert said.startswith("80 pictures of 180, 1 source")
    parts = json.loads(record.read_text("utf-8"))["parts"]
    assert {(part["real"], part["fake"]) for part in parts} == {(20, 20)}


def test_what_counts_as_bad_can_be_chosen(make_honest_or_not, audit):
    root = make_honest_or_not("cheat", "format")
    assert audit(root, "--no-suspects", "--fail-on", "never")[0] == 0
    assert audit(root, "--no-suspects", "--fail-on", "warning")[0] == 10


def test_one_class_only(make_honest_or_not, audit, tmp_path):
    root, page = make_honest_or_not("half"), tmp_path / "a.html"
    for path in list(root.rglob("fake/*")):
        path.unlink()
    code, said, _ = audit(root, "--no-suspects", "--report", page)
    assert code == 0  # nothing is told where there is nothing to tell apart
    assert "warning  train holds real pictures only" in said
    assert "could not be measured" in said
    assert "could not be measured" in page.read_text("utf-8")
    _, said, _ = audit(root)
    assert "Wrong labels: too few groups of a class" in said


def test_two_sources_of_two_formats_with_both_classes_in_each_are_no_shortcut(audit, tmp_path):
    """Only the numbers tell, in each source; and each line says of which source it is."""
    root, rng = tmp_path / "set", np.random.default_rng(0)
    root.mkdir()
    lines = ["path,label,source,split"]
    for number in range(160):
        source, side, suffix = (("A", 64, "png"), ("file", 96, "jpg"))[number // 80]
        label = ("real", "fake")[number % 80 // 40]
        name = f"{number:03}.{suffix}"
        cv2.imwrite(str(root / name), rng.integers(0, 256, (side, side, 3), np.uint8))
        lines.append(f"{name},{label},{source},train")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", "utf-8")
    code, said, _ = audit(root, "--no-suspects")
    assert code == 0
    assert "does not tell real from fake" in said
    worse = [line for line in said.splitlines() if line.startswith(("warning", "severe"))]
    assert len(worse) == 3
    assert all("number in the file name alone: AUC 1.00" in line for line in worse)
    assert {line.rpartition("]")[0].rpartition("[")[2] for line in worse} == {
        "1.00, 1.00",
        "A",
        "file",
    }


@pytest.mark.parametrize("there", [True, False])
def test_a_set_of_which_nothing_can_be_read(audit, tmp_path, there):
    """A download that gave pages in place of pictures, and one that gave nothing."""
    root, page = tmp_path / "set", tmp_path / "a.html"
    root.mkdir()
    lines = ["path,label,source,split"]
    for number in range(30):
        label, split = ("real", "fake")[number % 2], ("train", "validation")[number % 5 == 0]
        lines.append(f"{number}.png,{label},source {number % 3},{split}")
        if there:
            (root / f"{number}.png").write_text("<html>404</html>")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", "utf-8")
    code, said, err = audit(root, "--report", page)
    assert code == 1
    assert "warning  30 pictures cannot be read: 15 real, 15 fake" in said
    assert "repeats" not in page.read_text("utf-8")
    code, _, err = audit(root, "--no-suspects", "--fix", "--out", tmp_path / "clean")
    assert code == 2
    assert "picture of train would be left" in err
    assert not (tmp_path / "clean").exists()


def test_names_that_act_on_a_terminal_are_shown_as_escapes(audit, tmp_path):
    root, out = tmp_path / "set", tmp_path / "clean"
    root.mkdir()
    rng = np.random.default_rng(0)
    lines = ["path,label,source,split"]
    for number in range(48):  # two sources, and the one holds fakes alone
        cv2.imwrite(str(root / f"{number}.png"), rng.integers(0, 256, (24, 24, 3), np.uint8))
        source = "red\x1b[31m\u202e" if number % 4 == 1 else "plain"
        lines.append(f"{number}.png,{('real', 'fake')[number % 2]},{source},train")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", "utf-8")
    _, said, _ = audit(root, "--no-suspects", "--fix", "--out", out)
    assert "still: red\\u001b[31m\\u202e holds fake pictures only" in said
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_a_manifest_with_missing_files(make_honest_or_not, audit):
    root = make_honest_or_not("listed", "groups")
    gone = sorted((root / "train/real").iterdir())[:3]
    for path in gone:
        path.unlink()
    code, said, err = audit(root, "--no-suspects", "--fail-on", "never")
    assert code == 1
    assert gone[0].name in said or "3 pictures" in said
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "no such folder"),
        (["empty"], "no pictures found"),
        (["set", "--out", "clean"], "--out needs --fix"),
        (["set", "--size", "64"], "--size needs --fix"),
        (["set", "--fix"], "name its folder with --out"),
        (["set", "--fix", "--out", "clean", "--sample", "3"], "leave --sample out"),
        (["set", "--fix", "--out", "full"], "not empty"),
        (["set", "--fix", "--out", "set/clean"], "would lie in each other"),
        (["set", "--report", "nowhere/a.html"], "there is no folder nowhere"),
        (["set", "--json", "full"], "is a directory"),
        (["set", "--json", "set/manifest.csv"], "would replace the set's manifest"),
        (["set", "--model", "nothing"], "nothing"),
    ],
)
def test_wrong_input_is_refused_in_one_line(
    make_honest_or_not, audit, tmp_path, monkeypatch, arguments, says
):
    root = make_honest_or_not("set", train=2, validation=1)
    before = state_of(root)
    (tmp_path / "empty/train/real").mkdir(parents=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    code, said, err = audit(*arguments)
    assert code in (2, 3)
    assert says in err
    assert said == ""
    assert state_of(root) == before
    assert not (tmp_path / "clean").exists()


@pytest.mark.parametrize("option", ["--json", "--report"])
def test_no_picture_is_written_over(make_honest_or_not, audit, option):
    root = make_honest_or_not("kept")
    before = state_of(root)
    picture = next(root.rglob("real/*"))
    code, said, err = audit(root, "--no-suspects", option, picture)
    assert (code, said) == (2, "")
    assert "would lie among the set's pictures" in err
    assert state_of(root) == before


def test_the_tutorial_is_true(tmp_path, monkeypatch, audit):
    """Its script is run as printed, and its set comes out as it says."""
    text = (ROOT / "docs/is-my-data-set-honest.md").read_text("utf-8")
    script = re.search(r"```python\n(.*?make_telling.*?)```", text, re.DOTALL)
    assert script
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", script[1]], check=True, timeout=120)
    code, said, _ = audit("telling", "--no-suspects")
    assert code == 10
    printed = re.findall(r"^(?:severe {3}|warning {2})\S.*$", text, re.MULTILINE)
    assert len(printed) > 5
    assert [line for line in printed if line not in said] == []
    code, said, _ = audit("telling", "--no-suspects", "--fix", "--out", "mended")
    assert code == 0
    assert "Nothing severe is left" in said


def test_the_reference_names_every_code():
    text = (ROOT / "docs/reference/audit.md").read_text("utf-8")
    sources = "".join(
        path.read_text("utf-8") for path in (ROOT / "src/mesoscope/data/audit").glob("*.py")
    )
    kinds = set(
        re.findall(r'"((?:repeats|groups|sources|splits|balance|pictures|labels)\.\w+)"', sources)
    )
    kinds |= {f"cue.{fact.family}" for fact in FACTS.values()} | {"cue.together"}
    assert len(kinds) > 20
    assert not {kind for kind in kinds if f"`{kind}`" not in text}
