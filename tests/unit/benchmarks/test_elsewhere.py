"""Genuine media from elsewhere: what is taken of a package, what counts once, and the counts."""

from __future__ import annotations

import dataclasses
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mesoscope.files.recipe_file import read_toml
from mesoscope.types import Verdict

ROOT = Path(__file__).parents[3]
RNG = np.random.default_rng(5)
PACKAGE = {
    "registry": "npm",
    "name": "@of/template",
    "version": "1.0.0",
    "sha256": "0" * 64,
    "media": ["img/*.png", "img/*.mp4"],
    "without": {"img/drawing.png": "a drawing"},
}


@pytest.fixture(scope="module")
def elsewhere(bench):
    return bench("elsewhere")


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def smooth() -> np.ndarray:
    """A picture of large shapes, unlike any other."""
    small = RNG.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC))


def files() -> dict[str, bytes]:
    first = smooth()
    return {
        "img/a.png": png(first),
        "img/b.png": png(first),
        "img/c.png": png(np.ascontiguousarray(first[1:])),
        "img/d.png": png(smooth()),
        "img/drawing.png": png(smooth()),
        "img/talk.mp4": b"clip",
        "code/e.png": png(smooth()),
    }


@pytest.fixture(params=["template-1.0.0.tgz", "template-1.0.0-py3-none-any.whl"])
def package_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    if path.suffix == ".whl":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files().items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files().items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def test_the_listed_media_are_taken_and_repeats_count_once(elsewhere, package_file, tmp_path):
    media = elsewhere.unpack(PACKAGE, package_file, tmp_path / "media")
    assert [one.path.name[5:] for one in media] == ["a.png", "b.png", "c.png", "d.png", "talk.mp4"]
    assert [one.kind for one in media] == ["pictures"] * 4 + ["clips"]
    different = elsewhere.without_repeats(media)
    assert [one.path.name[5:] for one in different] == ["a.png", "d.png", "talk.mp4"]


def test_another_file_than_the_listed_one_is_refused(elsewhere, tmp_path):
    folder = tmp_path / "@of_template-1.0.0"
    folder.mkdir()
    (folder / "template-1.0.0.tgz").write_bytes(b"another")
    with pytest.raises(SystemExit, match=r"not the file that elsewhere\.toml names: delete it"):
        elsewhere.fetch(PACKAGE, tmp_path)


def test_a_package_that_cannot_be_fetched_is_one_line(elsewhere, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no npm
    with pytest.raises(SystemExit, match=r"@of/template 1\.0\.0 cannot be fetched: .*npm"):
        elsewhere.fetch(PACKAGE, tmp_path / "packages")


def verdict(label: str | None, p_fake: float | None, reason: str | None = None) -> Verdict:
    blank = Verdict.from_json(
        '{"schema": 2, "source": "a.png", "kind": "image", "label": null, "p_fake": null,'
        ' "reason": "no_face", "faces": [], "skipped": [], "persons": [], "duration_s": null,'
        ' "frames_read": 1, "finder": "mtcnn", "notes": [], "model": "m@0", "elapsed_s": {},'
        ' "error": null}'
    )
    return dataclasses.replace(blank, label=label, p_fake=p_fake, reason=reason)


def test_the_counts_are_of_what_was_told_of_faces(elsewhere):
    media = [elsewhere.Medium(Path(f"{n}.png"), "template", "pictures") for n in range(5)]
    verdicts = [
        verdict("fake", 0.97),
        verdict("real", 0.02),
        verdict("inconclusive", 0.5, "unfamiliar"),
        verdict("inconclusive", 0.5, "face_not_seen"),
        verdict(None, None, "no_face"),
    ]
    (own, every) = elsewhere.rows_of("m", media, verdicts)
    assert {k: own[k] for k in ("package", "n", "with_face", "told_fake", "told_real")} == {
        "package": "template", "n": 5, "with_face": 3, "told_fake": 1, "told_real": 1,
    }  # fmt: skip
    assert (own["inconclusive"], own["unfamiliar"]) == (1, 1)
    assert own["fake_low"] == pytest.approx(0.0084, abs=1e-4)  # Clopper & Pearson, 1 of 3
    assert own["fake_high"] == pytest.approx(0.9057, abs=1e-4)
    assert every["package"] == "all"


def test_every_listed_package_has_a_version_a_digest_and_media(elsewhere):
    packages = read_toml(elsewhere.LIST, missing="gone")["package"]
    assert len({package["name"] for package in packages}) == len(packages)
    for package in packages:
        assert package["registry"] in ("npm", "pypi")
        assert package["version"][0].isdigit()
        assert len(package["sha256"]) == 64
        assert package["media"]
        left_out = package.get("without", {})
        assert all(elsewhere.named({"media": package["media"]}, name) for name in left_out)
