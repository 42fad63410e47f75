"""Every file read once: its columns, what cannot be read, and what is wrong with pictures."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mesoscope.data.audit.facts import read_facts
from mesoscope.data.audit.options import AuditOptions
from mesoscope.data.audit.quality import (
    balance_findings,
    mismatch_findings,
    outlier_findings,
    picture_findings,
    small_sources,
    split_counts,
)
from mesoscope.data.manifest import read_dataset
from mesoscope.errors import OptionError


def write(root, name, pixels, *flags):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[:, :, ::-1], list(flags))
    return path


@pytest.fixture
def mixed(tmp_path, astronaut_face):
    """A set with a bit of everything."""
    grey = np.full((64, 64, 3), 128, np.uint8)
    write(tmp_path, "train/real/a.jpg", astronaut_face, cv2.IMWRITE_JPEG_QUALITY, 80)
    write(tmp_path, "train/real/dark.png", astronaut_face // 8)
    write(tmp_path, "train/fake/blank.png", grey)
    write(tmp_path, "train/fake/tiny.png", astronaut_face[::8, ::8])
    write(tmp_path, "train/fake/long.png", astronaut_face[:60])
    write(tmp_path, "validation/fake/large.jpg", cv2.resize(astronaut_face, (1200, 1000)))
    write(tmp_path, "x.png", astronaut_face).rename(tmp_path / "validation/fake/wrong.jpg")
    (tmp_path / "validation/fake/cut.jpg").write_bytes(
        (tmp_path / "train/real/a.jpg").read_bytes()[:2000]
    )
    return tmp_path


def row_of(facts, end):
    return next(row for row, name in enumerate(facts.names) if name.endswith(end))


def test_columns_of_a_mixed_set(mixed) -> None:
    counted = []

    def watch(what, items, total):
        counted.append((what, total))
        return items

    facts = read_facts(read_dataset(mixed), root=mixed, watch=watch)
    assert counted == [("Reading", 8)]
    a, large, wrong, cut = (
        row_of(facts, n) for n in ("a.jpg", "large.jpg", "wrong.jpg", "cut.jpg")
    )
    assert facts.names[a] == "train/real/a.jpg"
    assert facts.numbers["jpeg_quality"][a] == 80
    assert facts.categories["size"].of(large) == "1200×1000"
    assert facts.categories["suffix_fits"].of(wrong) == "no: holds png"
    assert np.isnan(facts.numbers["jpeg_quality"][wrong])
    assert set(facts.unreadable) == {cut}
    assert facts.readable.sum() == 7
    assert facts.sha256[cut].any()
    # One face at two sizes, the larger decoded at a fraction: the hashes are near all the same.
    assert (int(facts.hashes[a, 0]) ^ int(facts.hashes[large, 0])).bit_count() <= 3


def test_pictures_that_are_wrong_are_told(mixed) -> None:
    facts = read_facts(read_dataset(mixed), root=mixed)
    found = {f.kind: f for f in (*picture_findings(facts), *outlier_findings(facts))}
    shown = {kind: {e.path.rsplit("/", 1)[1] for e in f.examples} for kind, f in found.items()}
    assert shown == {
        "pictures.unreadable": {"cut.jpg"},
        "pictures.blank": {"blank.png"},
        "pictures.tiny": {"tiny.png"},
        "pictures.dark": {"dark.png"},
        "pictures.odd_shape": {"long.png"},
    }
    assert found["pictures.unreadable"].drop == ("validation/fake/cut.jpg",)
    assert "truncated" in found["pictures.unreadable"].detail


def test_imbalance_and_a_class_that_is_alone_are_told(mixed) -> None:
    facts = read_facts(read_dataset(mixed), root=mixed)
    found = {(f.kind, f.title.split()[0]) for f in balance_findings(facts)}
    assert ("balance.one_class", "validation") in found
    assert [(p.split, p.real, p.fake) for p in split_counts(facts)] == [
        ("train", 2, 3),
        ("validation", 0, 3),
    ]
    assert "too few" in small_sources(facts)[0]


def test_files_that_are_not_what_is_said_of_them(mixed) -> None:
    samples = read_dataset(mixed)
    claims = ["0" * 64 if s.file.endswith("a.jpg") else "" for s in samples]
    samples = [replace(s, sha256=claim) for s, claim in zip(samples, claims, strict=True)]
    found = {f.kind: f for f in mismatch_findings(read_facts(samples, root=mixed))}
    assert set(found) == {"pictures.wrong_suffix", "pictures.changed"}
    assert found["pictures.wrong_suffix"].examples[0].path == "validation/fake/wrong.jpg"
    assert found["pictures.wrong_suffix"].examples[0].says == "no: holds png"
    assert {e.path for e in found["pictures.changed"].examples} == {"train/real/a.jpg"}


def test_a_file_that_is_gone_is_unreadable_and_not_an_end(mixed) -> None:
    samples = read_dataset(mixed)
    (mixed / "train/real/a.jpg").unlink()
    facts = read_facts(samples, root=mixed)
    assert "no such file" in facts.unreadable[row_of(facts, "a.jpg")]


def test_pictures_outside_the_root_keep_their_path(mixed, tmp_path) -> None:
    facts = read_facts(read_dataset(mixed), root=tmp_path / "elsewhere")
    assert facts.names[0].startswith(mixed.as_posix())


@pytest.mark.parametrize("wrong", [{"check_faces": -1}, {"resamples": 3}, {"threads": -1}])
def test_options_out_of_range(wrong) -> None:
    with pytest.raises(OptionError, match="of an audit must be at least"):
        AuditOptions(**wrong)
