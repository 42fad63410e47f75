"""Whatever is raised at one file, a command goes on, names that file, and says so by its code."""

import contextlib
import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mesoscope.cli.main import main
from mesoscope.models.file import shipped

ERRORS = [
    RuntimeError("a fault"), MemoryError(), cv2.error("Insufficient memory"), cv2.error("a fault"),
    RecursionError("deep"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
]  # fmt: skip
BAD = "bad"  # the stem of the file that something fails at


@pytest.fixture
def run(capsys):
    """``run("audit", …)`` → exit code, standard output, standard error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return ended.value.code, out, err

    return run


@pytest.fixture(params=ERRORS, ids=lambda e: f"{type(e).__name__} {str(e)[:12]}".strip())
def error(request):
    """Each kind of exception; tests that ask for ``one_error`` are of many places, not of kinds."""
    return request.param


@pytest.fixture
def one_error():
    return RuntimeError("a fault")


@pytest.fixture
def spoil(monkeypatch):
    """``spoil(target, error)``: a function raises wherever it is given the bad file."""

    def spoil(target, error, tells=None):
        module, _, name = target.rpartition(".")
        owner = _import(module)
        before = getattr(owner, name)

        def fails(*given, **more):
            if (tells or _tells)(given, more):
                raise error
            return before(*given, **more)

        monkeypatch.setattr(owner, name, fails)

    return spoil


def _import(dotted):
    """A module, or a class in one."""
    import importlib

    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError:
        module, _, name = dotted.rpartition(".")
        return getattr(importlib.import_module(module), name)


def _tells(given, more):
    return any(_is_bad(one) for one in [*given, *more.values()])


def _is_bad(one):
    if isinstance(one, list | tuple):
        return any(map(_is_bad, one))
    name = getattr(one, "source", one)
    return isinstance(name, str | Path) and Path(str(name)).stem == BAD


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def two_classes(people, root):
    for label in ("real", "fake"):
        (root / label).mkdir(parents=True)
        for path in people.iterdir():
            (root / label / path.name).write_bytes(path.read_bytes())
    return root


def spoilt_finder(error):
    from mesoscope.faces.finder import finder_for

    def made(options):
        finder = finder_for(options)

        class Finder:
            def find(self, frames):
                if _is_bad(list(frames)):
                    raise error
                return finder.find(frames)

        return Finder()

    return made


@pytest.fixture
def people(tmp_path, astronaut_face):
    """Three pictures of a face; one of them is the bad one."""
    folder = tmp_path / "people"
    folder.mkdir()
    for number, name in enumerate(("a", BAD, "c")):
        shifted = np.clip(astronaut_face.astype(int) + 12 * number, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{name}.png"), shifted[:, :, ::-1])
    return folder


@pytest.fixture
def dataset(make_dataset):
    root = make_dataset(train=6, validation=6)
    (root / "train/real/02.jpg").rename(root / f"train/real/{BAD}.jpg")
    return root


AUDIT, ROBUST = "mesoscope.data.audit", "evaluation.robustness"


@pytest.mark.parametrize("where", ["facts.sample_bytes", "facts.read_header", "facts.decode"])
def test_audit_goes_on(run, spoil, dataset, tmp_path, where, one_error):
    def tells(given, _more):
        return any(BAD in str(getattr(one, "file", one)) for one in given if type(one) is not bytes)

    if where == "facts.read_header":  # which is given no name
        bad = (dataset / f"train/real/{BAD}.jpg").read_bytes()

        def tells(given, _more):
            return given[0] == bad

    spoil(f"{AUDIT}.{where}", one_error, tells)
    record = tmp_path / "audit.json"
    code, out, err = run("audit", dataset, "--json", record, "--fail-on", "never")
    assert code == 1, err
    (finding,) = [
        one for one in json.loads(record.read_text())["findings"]
        if one["kind"] == "pictures.unreadable"
    ]  # fmt: skip
    assert finding["count"] == 1
    assert f"train/real/{BAD}.jpg: " in finding["detail"]
    assert "cannot be read" in out


def test_audit_goes_on_when_no_face_can_be_looked_for(run, monkeypatch, dataset, error):
    class Finder:
        def find(self, frames):
            if _is_bad(list(frames)):
                raise error
            from mesoscope.types import Found

            return [Found((), "none") for _ in frames]

    monkeypatch.setattr("mesoscope.faces.finder.finder_for", lambda _options: Finder())
    code, out, _ = run("audit", dataset, "--check-faces", "50")
    assert code in (0, 10)
    assert "In 23 of 23 pictures no face is found" in out
    assert f"Whether a picture shows a face: train/real/{BAD}.jpg: " in out


def test_the_audits_page_goes_without_a_picture_that_cannot_be_shown(
    run, spoil, dataset, tmp_path, one_error
):
    spoil("mesoscope.report.audit.open_image", one_error, lambda _given, _more: True)
    code, _, err = run("audit", dataset, "--report", tmp_path / "page.html", "--fail-on", "never")
    assert (code, err.count("mesoscope:")) == (0, 0)
    assert (tmp_path / "page.html").stat().st_size


@pytest.mark.parametrize(
    ("maker", "where", "jobs"),
    [
        ("blend", "detection.stages.open_image", 1),
        ("xray", "faces.main_face.MainFaceFinder.find", 2),
        ("edit", "synth.writing.decode", 2),
        ("xray", "synth.writing.decode", 1),
    ],
)  # fmt: skip
def test_synth_goes_on(run, spoil, people, tmp_path, maker, where, jobs):
    error = RuntimeError("a fault")
    spoil(f"mesoscope.{where}", error)
    out = tmp_path / "out"
    command = ("blend", "--method", "xray") if maker == "xray" else (maker,)
    code, _, err = run("synth", *command, people, "--out", out, "--jobs", jobs, "--validation", 0)
    assert code == 1, err
    left = {row["path"]: row["reason"] for row in rows(out / "left_out.csv")}
    assert "a fault" in left[f"{BAD}.png"]
    assert {path for path, why in left.items() if "RuntimeError" in why} == {f"{BAD}.png"}
    assert "left out" in err


@pytest.mark.parametrize("where", ["faces.main_face.MainFaceFinder.find", "synth.writing.decode"])
def test_synth_looks_again_at_what_failed(run, monkeypatch, people, tmp_path, where, one_error):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        place, _, name = where.rpartition(".")
        owner = _import(f"mesoscope.{place}")
        before = getattr(owner, name)

        def fails(*given, **more):
            if _tells(given, more):
                raise one_error
            return before(*given, **more)

        patch.setattr(owner, name, fails)
        code, _, err = run("synth", "blend", people, "--out", out, "--validation", 0)
    assert code == 1, err
    assert [row["path"] for row in rows(out / "left_out.csv")] == [f"{BAD}.png"]
    assert "2 forgeries" in err
    code, _, err = run("synth", "blend", people, "--out", out, "--validation", 0)
    assert code == 0
    assert "1 forgery and its twin made" in err
    assert not (out / "left_out.csv").exists()


@pytest.mark.parametrize("where", ["find", "open_image", "crop", "encode", "choose", "scene_of"])
def test_prepare_goes_on(run, spoil, monkeypatch, people, tmp_path, where, one_error):
    work = "mesoscope.data.prepare.work"
    root = two_classes(people, tmp_path / "set")
    (root / f"fake/{BAD}.png").unlink()
    bad = cv2.imread(str(root / f"real/{BAD}.png"))[:, :, ::-1]
    if where == "find":
        monkeypatch.setattr("mesoscope.data.prepare.run.finder_for", spoilt_finder(one_error))
    elif where == "open_image":
        spoil(f"{work}.open_image", one_error)
    elif where in ("crop", "scene_of"):
        place = "mesoscope.detection.stages" if where == "crop" else work
        spoil(f"{place}.{where}", one_error, lambda given, _: np.array_equal(given[0], bad))
    else:
        seen = []

        def second(_given, _more):
            seen.append(None)
            return len(seen) == 2

        spoil(f"{work}.{where}", one_error, second)
    out = tmp_path / "out"
    code, _, err = run("prepare", "plain", root, "--out", out, "--jobs", 1)
    assert code == 1, err
    left = [row for row in rows(out / "left_out.csv") if row["reason"] == "unreadable"]
    assert len(left) == 1
    assert len(rows(out / "manifest.csv")) == 4
    assert type(one_error).__name__ in left[0]["detail"] or "memory ran short" in left[0]["detail"]
    if where in ("find", "open_image", "crop", "scene_of"):
        assert left[0]["path"] == f"real/{BAD}.png"


def test_prepare_tries_again_what_memory_ran_short_at(run, monkeypatch, people, tmp_path):
    root = two_classes(people, tmp_path / "set")
    from mesoscope.data.prepare import work

    open_image = work.open_image
    short = [True]

    def opened(path, **more):
        if short and path.stem == BAD:
            raise MemoryError
        return open_image(path, **more)

    monkeypatch.setattr(work, "open_image", opened)
    out = tmp_path / "out"
    assert run("prepare", "plain", root, "--out", out)[0] == 1
    assert len(rows(out / "manifest.csv")) == 4
    short.clear()
    assert run("prepare", "plain", root, "--out", out)[0] == 0
    assert len(rows(out / "manifest.csv")) == 6


@pytest.mark.parametrize(
    "where",
    ["detection.stages.crop", "evidence.explain.open_image", "evidence.explain.picture_sheet"],
)
def test_explain_goes_on(run, spoil, people, tmp_path, where, one_error):
    bad = cv2.imread(str(people / f"{BAD}.png"))[:, :, ::-1]

    def tells(given, _more):
        pixels = getattr(given[0], "pixels", given[0])
        if not isinstance(pixels, np.ndarray):
            return Path(str(getattr(given[0], "path", given[0]))).stem == BAD
        return np.array_equal(pixels, bad)

    spoil(f"mesoscope.{where}", one_error, tells)
    names = [people / f"{name}.png" for name in ("a", BAD, "c")]
    code, out, err = run("explain", *names, "-o", tmp_path / "out")
    assert code == 1, err
    assert len(out.splitlines()) == 2
    assert err.count("mesoscope: ") == 1
    assert f"{BAD}.png" in err
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_robustness_goes_on(run, spoil, make_dataset, tmp_path):
    dataset = make_dataset(train=1, validation=1)
    (dataset / "train/real/00.jpg").rename(dataset / f"train/real/{BAD}.jpg")
    bad = cv2.imread(str(dataset / f"train/real/{BAD}.jpg"))[:, :, ::-1]
    corrupt = "mesoscope.evaluation.robustness.corrupt"
    spoil(corrupt, RuntimeError("a fault"), lambda given, _: np.array_equal(given[0], bad))
    code, _, err = run(
        "evaluate", dataset, "--split", "all", "--robustness", "--limit", "0", "--resamples", "0",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 1, err
    assert err.count(f"mesoscope: robustness: {dataset}/train/real/{BAD}.jpg: ") == 1
    told = json.loads((tmp_path / "out/metrics.json").read_text())["robustness"]
    assert (told["n_done"], told["n_unreadable"]) == (3, 1)


@pytest.mark.parametrize("where", ["open_sample", "corrupt", "crop"])
def test_what_fails_at_one_picture_shifts_no_other(dataset, monkeypatch, where, error):
    """Where a picture's first pass fails, the others still come: they are nobody else's."""
    from mesoscope.data.manifest import read_dataset
    from mesoscope.detection.detector import Detector
    from mesoscope.evaluation.robustness import judge_changed

    samples = read_dataset(dataset)[:4]
    detector = Detector(faces="whole", jobs=2)
    whole = list(judge_changed(samples, detector))
    first = cv2.imread(str(samples[1].path))[:, :, ::-1]
    owner = _import(f"mesoscope.{'detection.stages' if where == 'crop' else ROBUST}")
    before = getattr(owner, where)

    def fails(given, *others, **more):
        if given is samples[1] or (where != "open_sample" and np.array_equal(given, first)):
            raise error
        return before(given, *others, **more)

    monkeypatch.setattr(owner, where, fails)
    found = list(judge_changed(samples, detector))
    assert [one.answers for one in found] == [
        () if n == 1 else one.answers for n, one in enumerate(whole)
    ]
    assert [one.error is None for one in found] == [True, False, True, True]
    assert found[1].error.startswith(f"{samples[1].file}: ")


@pytest.mark.parametrize("where", ["detection.stages.crop", "detection.reading.open_media"])
def test_evaluate_and_report_and_watch_go_on(run, spoil, dataset, tmp_path, where, one_error):
    bad = cv2.imread(str(dataset / f"train/real/{BAD}.jpg"))[:, :, ::-1]

    def tells(given, _more):
        if isinstance(given[0], np.ndarray):
            return np.array_equal(given[0], bad)
        return Path(str(given[0])).stem == BAD

    spoil(f"mesoscope.{where}", one_error, tells)
    code, _, err = run("evaluate", dataset, "--split", "all", "--resamples", "0",
                       "--out", tmp_path / "out")  # fmt: skip
    assert code == 1, err
    told = [row for row in rows(tmp_path / "out/predictions.csv") if not row["p_fake"]]
    assert [Path(row["path"]).stem for row in told] == [BAD]
    assert "1 of the 24 pictures could not be read" in err
    page = tmp_path / "case.html"
    code, _, err = run("report", dataset / "train/real", "--faces", "whole", "-o", page)
    assert code == 1, err
    assert "6 files" in err
    assert f"{BAD}.jpg" in page.read_text()


def test_watch_goes_on(run, spoil, monkeypatch, dataset, tmp_path, error):
    bad = cv2.imread(str(dataset / f"train/real/{BAD}.jpg"))[:, :, ::-1]
    spoil("mesoscope.detection.stages.crop", error, lambda given, _: np.array_equal(given[0], bad))
    from mesoscope.scan import into_job

    watch = into_job.watch
    monkeypatch.setattr(
        into_job, "watch", lambda *given, **more: watch(*given, **{**more, "looks": 2})
    )
    code, out, _ = run("watch", dataset / "train/real", "--out", tmp_path / "job", "--settle", "0",
                       "--pause", "0.01", "--faces", "whole", "--no-table")  # fmt: skip
    assert code == 0
    told = [json.loads(line) for line in out.splitlines()]
    assert len(told) == 6
    assert [Path(one["source"]).stem for one in told if one["error"]] == [BAD]


def test_shards_are_checked_to_the_end_and_packed_whole_or_not_at_all(
    run, spoil, dataset, tmp_path, error
):
    for target in (
        "mesoscope.data.sample.sample_bytes",
        "mesoscope.data.shards.writing.sample_bytes",
    ):
        spoil(target, error, lambda given, _: given[0].path.stem == BAD)
    code, out, err = run("shards", "list", dataset, "--check")
    assert code == 1, err
    assert err.count("mesoscope: ") == 1
    assert f"{BAD}.jpg" in err
    assert "23 of 24 pictures are intact" in out
    code, _, err = run("shards", "write", dataset, "--out", tmp_path / "shards")
    assert code == 1, err
    assert err.splitlines()[-1].startswith(f"mesoscope: {dataset}/train/real/{BAD}.jpg: ")
    assert not (tmp_path / "shards").exists()


def test_models_are_verified_to_the_end(run, spoil, error):
    def tells(given, _more):
        return "mesoinception4" in str(given[0])

    spoil("mesoscope.models.file.verify_bytes", error, tells)
    code, out, err = run("models", "verify")
    assert code == 3
    assert err.count("mesoscope: ") == 1
    assert "mesoinception4" in err
    assert out.count("ok ") == len(shipped()) - 1


@pytest.mark.parametrize(
    "command", [("audit",), ("explain",), ("synth", "blend"), ("prepare", "plain"), ("shards",)]
)
def test_an_interrupt_ends_them_all_the_same(run, spoil, people, dataset, tmp_path, command):
    stop = KeyboardInterrupt()
    out = tmp_path / "out"
    classes = two_classes(people, tmp_path / "classes")
    targets = {
        "audit": (f"{AUDIT}.facts.decode", (dataset,)),
        "explain": ("mesoscope.evidence.explain.picture_sheet", (people / "a.png", "-o", "x.png")),
        "synth": ("mesoscope.synth.writing.decode", (people, "--out", out)),
        "prepare": ("mesoscope.detection.stages.crop", (classes, "--out", out)),
        "shards": ("mesoscope.data.sample.sample_bytes", ("list", dataset, "--check")),
    }
    target, arguments = targets[command[0]]
    spoil(target, stop, lambda _given, _more: True)
    with contextlib.chdir(tmp_path) if hasattr(contextlib, "chdir") else contextlib.nullcontext():
        code, *_ = run(*command, *arguments)
    assert code == 130


HOSTILE = "a\x1b[31m\rmesoscope: ok\nfake\u202egnp.png"


def test_names_act_on_no_terminal_and_pass_for_no_line(run, people, tmp_path):
    """ESC, CR, LF and bidi marks of names, in lines of errors and of verdicts alike."""
    good, bad = tmp_path / HOSTILE, tmp_path / f"bad{HOSTILE}"
    good.write_bytes((people / "a.png").read_bytes())
    bad.write_bytes(b"no picture")
    code, out, err = run("explain", good, bad, "-o", tmp_path / "out")
    assert code == 1
    assert (len(out.splitlines()), len(err.splitlines())) == (1, 1)
    root = tmp_path / "set"
    for label in ("real", "fake"):
        (root / "train" / label).mkdir(parents=True)
        (root / "train" / label / HOSTILE).write_bytes(b"no picture")
    code, listed, wrong = run("shards", "list", root, "--check")
    assert code == 1
    assert len(wrong.splitlines()) == 2
    code, _, model = run("models", "verify", tmp_path / f"{HOSTILE}.onnx")
    assert (code, len(model.splitlines())) == (3, 1)
    for said in (out, err, listed, wrong, model):
        assert not set(said) & {"\x1b", "\r", "\u202e"}
        assert "\nfake" not in said


def test_what_vanishes_after_it_was_listed_is_a_row(run, spoil, people, tmp_path, monkeypatch):
    """A file that is gone once it is to be read: scan and report go on, and say that it is."""
    from mesoscope.media import walk as module

    walk = module.walk

    def vanishing(paths, **more):
        for found in walk(paths, **more):
            if isinstance(found, str) and Path(found).stem == BAD:
                Path(found).unlink()
            yield found

    monkeypatch.setattr("mesoscope.scan.local.walk", vanishing)
    whole = (people / f"{BAD}.png").read_bytes()
    code, *_ = run("scan", people, "--no-table", "--out", tmp_path / "rows.jsonl")
    told = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert code == 1
    assert [one["error"]["code"] for one in told if one["error"]] == ["source.missing"]
    (people / f"{BAD}.png").write_bytes(whole)
    code, _, err = run("report", people, "-o", tmp_path / "case.html")
    assert code == 1
    assert "3 files" in err


def test_prepare_and_synth_say_what_vanished(run, people, tmp_path, monkeypatch):
    from mesoscope.data.prepare import run as preparing

    root = two_classes(people, tmp_path / "set")
    make_folders = preparing._make_folders

    def then_vanish(out):
        make_folders(out)
        (root / f"real/{BAD}.png").unlink()

    monkeypatch.setattr(preparing, "_make_folders", then_vanish)
    out = tmp_path / "out"
    assert run("prepare", "plain", root, "--out", out)[0] == 1
    (left,) = rows(out / "left_out.csv")
    assert left["path"] == f"real/{BAD}.png"
    assert left["detail"].startswith("source.missing: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_is_one_line_that_names_the_file(run, dataset, tmp_path):
    link = tmp_path / "full.json"
    link.symlink_to("/dev/full")
    code, _, err = run("audit", dataset, "--json", link, "--fail-on", "never")
    assert code == 1
    assert err.splitlines()[-1].startswith(f"mesoscope: {link}: cannot be written: No space left")
    page = tmp_path / "case.html"
    page.write_text("earlier")
    code, _, err = run("audit", dataset, "--report", "/dev/full", "--fail-on", "never")
    assert code == 1
    assert err.splitlines()[-1].startswith("mesoscope: /dev/full: cannot be written: No space left")
