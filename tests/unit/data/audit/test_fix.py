"""A mended copy: what leaves, what moves, what is written; and what is left alone."""

import csv
import dataclasses
import hashlib
import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from mesoscope.data.audit.facts import read_facts
from mesoscope.data.audit.finding import Audit, AuditFinding
from mesoscope.data.audit.fix import MANIFEST, RECORD, fix_dataset, refuse_folder
from mesoscope.data.audit.fix_plan import FixOptions, plan
from mesoscope.data.manifest import read_dataset
from mesoscope.data.shards.writing import write_shards
from mesoscope.errors import DatasetError, OptionError, OutputError


def audit_of(root, *findings):
    samples = read_dataset(root)
    facts = read_facts(samples, root=root)
    return Audit(str(root), len(samples), 0, (), findings, facts=facts)


def finding(kind, severity="severe", *, action="encode", scope="", drop=()):
    return AuditFinding(kind, severity, "", "", "", 1, scope=scope, action=action, drop=tuple(drop))


def state_of(root):
    """Every file with its bytes and times."""
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def rows(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pictures(root):
    files = [path for path in sorted(root.rglob("*.*")) if path.suffix != ".csv"]
    return [Image.open(io.BytesIO(path.read_bytes())) for path in files]


def test_without_findings_pixels_stay_as_they_are(make_honest_or_not, tmp_path):
    root = make_honest_or_not("plain", train=4, validation=2)
    before = state_of(root)
    mended = fix_dataset(audit_of(root), tmp_path / "clean")
    assert state_of(root) == before
    assert (mended.copied, mended.encoded, mended.moved, mended.left_out) == (12, 0, 0, {})
    done = rows(tmp_path / "clean" / RECORD)
    assert sorted(row["from"] for row in done) == sorted(before)
    for row in done:
        was, now = (
            cv2.imread(str(p)) for p in (root / row["from"], tmp_path / "clean" / row["to"])
        )
        assert np.array_equal(was, now)
        assert (row["action"], row["reason"], row["split"]) == ("copied", "", row["split_before"])


def test_names_and_times_tell_nothing(make_honest_or_not, tmp_path):
    root = make_honest_or_not("telling", "names", "dates", train=6, validation=3)
    fix_dataset(audit_of(root), tmp_path / "clean")
    samples = read_dataset(tmp_path / "clean")
    assert len({sample.path.stat().st_mtime_ns for sample in samples}) == 1
    assert sorted(int(sample.path.stem) for sample in samples) == list(range(18))
    ordered = sorted(samples, key=lambda sample: int(sample.path.stem))
    labels = [sample.label for sample in ordered]
    assert labels not in (sorted(labels), sorted(labels, reverse=True))
    assert {len(sample.path.stem) for sample in samples} == {6}


def test_manifest_fits_its_files(make_honest_or_not, tmp_path):
    root = make_honest_or_not("listed", "groups", train=10, validation=5)
    fix_dataset(audit_of(root), tmp_path / "clean")
    for row in rows(tmp_path / "clean" / MANIFEST):
        data = (tmp_path / "clean" / row["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        assert row["path"].startswith(f"{row['split']}/{row['label']}/")
        assert row["source"] == "clips"
    groups = {sample.group for sample in read_dataset(tmp_path / "clean")}
    assert groups == {sample.group for sample in read_dataset(root)}


def test_groups_stand_in_one_split_and_splits_keep_their_size(make_honest_or_not, tmp_path):
    root = make_honest_or_not("torn", "groups", train=60, validation=20)
    mended = fix_dataset(audit_of(root), tmp_path / "clean")
    stands = {}
    for sample in read_dataset(tmp_path / "clean"):
        stands.setdefault(sample.group, set()).add(sample.split)
    assert all(len(splits) == 1 for splits in stands.values())
    assert mended.moved > 0
    for label in (0, 1):
        count = [s.split for s in read_dataset(tmp_path / "clean") if s.label == label]
        assert 15 <= count.count("validation") <= 25
    moved = [row for row in rows(tmp_path / "clean" / RECORD) if row["action"].endswith("moved")]
    assert len(moved) == mended.moved
    assert {row["reason"] for row in moved} == {"groups.across_splits"}
    assert all(row["split"] != row["split_before"] for row in moved)


def test_what_findings_drop_and_what_cannot_be_read_is_left_out(make_honest_or_not, tmp_path):
    root = make_honest_or_not("spoilt", "spoilt", train=6, validation=2)
    names = sorted(state_of(root))
    dropped = [name for name in names if name.startswith("train/fake")][2:4]
    drop = finding("repeats.across_splits", action="drop", drop=dropped)
    mended = fix_dataset(audit_of(root, drop), tmp_path / "clean")
    assert mended.left_out == {"repeats.across_splits": 2, "pictures.unreadable": 2}
    out = {r["from"]: r for r in rows(tmp_path / "clean" / RECORD) if not r["to"]}
    assert set(dropped) < set(out)
    assert {row["action"] for row in out.values()} == {"left out"}
    assert len(read_dataset(tmp_path / "clean")) == len(names) - 4


@pytest.mark.parametrize("cheats", [("format",), ("size",), ("quality",), ("format", "size")])
def test_encoded_anew_both_classes_are_alike(make_honest_or_not, tmp_path, cheats):
    root = make_honest_or_not("told", *cheats, train=8, validation=3)
    mended = fix_dataset(audit_of(root, finding("cue.jpeg")), tmp_path / "clean")
    assert mended.encoded == 22
    found = {
        (p.format, p.size, p.mode, str(getattr(p, "quantization", "")))
        for p in pictures(mended.out)
    }
    assert len(found) == 1
    size = next(iter(found))[1]
    assert size == ((45, 45) if "size" in cheats else (68, 68))


def test_lossless_pictures_become_png(make_honest_or_not, tmp_path):
    root = make_honest_or_not("whole", train=4, validation=2)
    for path in sorted(root.rglob("*.jpg")):
        kind = ".png" if path.parent.name == "fake" else ".bmp"
        Image.open(path).save(path.with_suffix(kind))
        path.unlink()
    mended = fix_dataset(audit_of(root, finding("cue.format")), tmp_path / "clean")
    assert {p.format for p in pictures(mended.out)} == {"PNG"}
    assert mended.encoded == 12


def test_only_sources_that_need_it_are_encoded(make_honest_or_not, tmp_path):
    root = make_honest_or_not("two", "quality", train=8, validation=4)
    names = sorted(state_of(root))
    with (root / MANIFEST).open("w", encoding="utf-8") as file:
        file.write("path,label,source,split\n")
        for number, name in enumerate(names):
            split, label, _ = name.split("/")
            file.write(f"{name},{label},{'ab'[number % 2]},{split}\n")
    mended = fix_dataset(audit_of(root, finding("cue.jpeg", scope="b")), tmp_path / "clean")
    assert (mended.copied, mended.encoded) == (12, 12)
    done = rows(mended.out / RECORD)
    assert {row["source"] for row in done if row["action"] == "encoded"} == {"b"}


def test_a_source_of_one_class_is_encoded_with_all(make_honest_or_not, tmp_path):
    root = make_honest_or_not("apart", "quality", train=8, validation=4)
    with (root / MANIFEST).open("w", encoding="utf-8") as file:
        file.write("path,label,source,split\n")
        for name in sorted(n for n in state_of(root) if n != MANIFEST):
            split, label, _ = name.split("/")
            file.write(f"{name},{label},{label}s,{split}\n")
    mended = fix_dataset(audit_of(root, finding("cue.jpeg")), tmp_path / "clean")
    assert (mended.copied, mended.encoded) == (0, 24)


def test_a_note_alone_encodes_nothing(make_honest_or_not, tmp_path):
    root = make_honest_or_not("noted", train=2, validation=1)
    mended = fix_dataset(audit_of(root, finding("cue.jpeg", "note")), tmp_path / "clean")
    assert mended.encoded == 0


def test_encode_can_be_asked_for_or_refused(make_honest_or_not, tmp_path):
    root = make_honest_or_not("asked", "quality", train=4, validation=2)
    found = audit_of(root, finding("cue.jpeg"))
    never = fix_dataset(found, tmp_path / "never", options=FixOptions(encode="never"))
    assert never.encoded == 0
    always = FixOptions(encode="always", size_px=32, quality=80)
    mended = fix_dataset(audit_of(root), tmp_path / "always", options=always)
    assert mended.encoded == 12
    assert {p.size for p in pictures(mended.out)} == {(32, 32)}


def test_metadata_go_and_pixels_stay(make_honest_or_not, tmp_path):
    root = make_honest_or_not("marked", "exif", train=4, validation=2)
    mended = fix_dataset(audit_of(root, finding("cue.metadata")), tmp_path / "clean")
    assert (mended.copied, mended.encoded) == (12, 0)
    assert not any(p.getexif() for p in pictures(mended.out))
    for row in rows(mended.out / RECORD):
        was, now = cv2.imread(root / row["from"]), cv2.imread(mended.out / row["to"])
        assert np.array_equal(was, now)


def test_profiles_need_the_pixels(make_honest_or_not, tmp_path):
    root = make_honest_or_not("coloured", "profile", train=4, validation=2)
    mended = fix_dataset(audit_of(root, finding("cue.metadata")), tmp_path / "clean")
    assert mended.encoded == 12
    assert not any(p.info.get("icc_profile") for p in pictures(mended.out))


def test_small_pictures_are_left_out_when_a_size_is_asked(make_honest_or_not, tmp_path):
    root = make_honest_or_not("small", train=4, validation=2)
    few = sorted((root / "train/real").iterdir())[:2]
    for path in few:
        cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8))
    options = FixOptions(encode="always", size_px=64)
    mended = fix_dataset(audit_of(root), tmp_path / "clean", options=options)
    assert mended.left_out == {"too_small": 2}


def test_a_class_is_never_emptied(make_honest_or_not, tmp_path):
    root = make_honest_or_not("thin", "size", train=3, validation=2)
    options = FixOptions(encode="always", size_px=64)
    with pytest.raises(DatasetError, match="no fake picture of train would be left"):
        fix_dataset(audit_of(root), tmp_path / "clean", options=options)
    assert not (tmp_path / "clean").exists()


def test_the_same_seed_writes_the_same(make_honest_or_not, tmp_path):
    root = make_honest_or_not("again", "quality", "size", train=6, validation=2)
    found = audit_of(root, finding("cue.jpeg"))
    one, two, three = (
        fix_dataset(found, tmp_path / name, options=FixOptions(seed=seed)).out
        for name, seed in (("one", 0), ("two", 0), ("three", 1))
    )
    bytes_of = [{n: data for n, (data, _) in state_of(out).items()} for out in (one, two, three)]
    assert bytes_of[0] == bytes_of[1]
    assert bytes_of[0] != bytes_of[2]


def test_the_worse_of_both_is_what_both_get(make_honest_or_not):
    root = make_honest_or_not("worse", "quality", "size", train=20, validation=5)
    found = audit_of(root, finding("cue.jpeg"))
    histories = [step.history for step in plan(found, FixOptions())]
    assert {(h.side_px, h.quality) for h in histories} == {(48, 60)}


@pytest.mark.parametrize("where", ["full", "file", "within", "itself", "above", "nowhere/clean"])
def test_folders_that_cannot_be_taken_are_refused(make_honest_or_not, tmp_path, where):
    root = make_honest_or_not("set", train=2, validation=1)
    before = state_of(root)
    out = {"within": root / "clean", "itself": root, "above": tmp_path}.get(where, tmp_path / where)
    if where == "full":
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    if where == "file":
        out.write_text("mine")
    with pytest.raises(OptionError) as caught:
        refuse_folder(root, out)
    assert "\n" not in str(caught.value)
    with pytest.raises(OptionError):
        fix_dataset(audit_of(root), out)
    assert state_of(root) == before


def test_an_empty_folder_is_taken(make_honest_or_not, tmp_path):
    root = make_honest_or_not("set", train=2, validation=1)
    (tmp_path / "clean").mkdir()
    assert fix_dataset(audit_of(root), tmp_path / "clean").copied == 6


def test_what_fails_leaves_nothing(make_honest_or_not, tmp_path, monkeypatch):
    root = make_honest_or_not("set", train=4, validation=1)
    found, before = audit_of(root), sorted(tmp_path.iterdir())

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mesoscope.data.audit.fix.write_manifest", full)
    with pytest.raises(OutputError, match="No space left on device: nothing was kept"):
        fix_dataset(found, tmp_path / "clean")
    assert sorted(tmp_path.iterdir()) == before


def test_what_is_interrupted_leaves_nothing(make_honest_or_not, tmp_path):
    root = make_honest_or_not("set", train=20, validation=5)
    found, before = audit_of(root), sorted(tmp_path.iterdir())

    def interrupted(what, items, total):
        for number, item in enumerate(items):
            if number == 9:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        fix_dataset(found, tmp_path / "clean", watch=interrupted)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_went_meanwhile_is_left_out(make_honest_or_not, tmp_path):
    root = make_honest_or_not("set", train=4, validation=1)
    found = audit_of(root)
    min((root / "train/real").iterdir()).unlink()
    assert fix_dataset(found, tmp_path / "clean").left_out == {"source.missing": 1}


def test_an_audit_without_its_facts_is_refused(make_honest_or_not, tmp_path):
    root = make_honest_or_not("set", train=2, validation=1)
    read = dataclasses.replace(audit_of(root), facts=None)
    with pytest.raises(OptionError, match="audit again"):
        fix_dataset(read, tmp_path / "clean")


def test_pictures_in_shards_are_mended_too(make_honest_or_not, tmp_path):
    root = make_honest_or_not("set", "quality", train=4, validation=2)
    write_shards(root, tmp_path / "shards")
    mended = fix_dataset(audit_of(tmp_path / "shards", finding("cue.jpeg")), tmp_path / "clean")
    assert mended.encoded == 12
    assert len(read_dataset(mended.out)) == 12
    origins = {row["from"] for row in rows(mended.out / RECORD)}
    assert len(origins) == 12
    assert all(".tar/" in name for name in origins)


@pytest.mark.parametrize("wrong", [{"encode": "some"}, {"quality": 0}, {"size_px": 3}])
def test_options_are_checked(wrong):
    with pytest.raises(OptionError):
        FixOptions(**wrong)


def test_turned_pictures_stand_upright_and_colours_are_brought_to_srgb(tmp_path):
    from mesoscope.data.audit.fix_pixels import strip_metadata, upright_srgb

    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :8] = (200, 40, 40)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    kept, suffix = strip_metadata(file.getvalue(), "turned.png", 10**6)
    assert suffix == ".png"
    shown = Image.open(io.BytesIO(kept))
    assert shown.size == (8, 16)
    assert not shown.getexif()
    file = io.BytesIO()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(pixels).save(file, "PNG", icc_profile=lab)
    same = upright_srgb(file.getvalue(), "srgb.png", 10**6)
    assert np.abs(same.astype(int) - pixels).max() <= 1


def test_the_best_quality_is_still_jpeg(make_honest_or_not, tmp_path):
    root = make_honest_or_not("best", train=3, validation=2)
    for number, path in enumerate(sorted(root.rglob("*.*"))):
        pixels = cv2.imread(str(path))
        path.unlink()
        cv2.imwrite(str(path.with_name(f"{number}.jpg")), pixels)
    fix_dataset(
        audit_of(root), tmp_path / "clean", options=FixOptions(encode="always", quality=100)
    )
    assert {picture.format for picture in pictures(tmp_path / "clean")} == {"JPEG"}
