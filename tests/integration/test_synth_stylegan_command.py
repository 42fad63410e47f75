"""``mesoscope synth stylegan-train`` and ``synth stylegan``, as a person runs them."""

import json
import pickle

import cv2
import pytest

from command_line import mesoscope
from mesoscope.data.manifest import read_dataset


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_face):
    """Forty drawn faces, and a generator that was trained on them for a moment."""
    root = tmp_path_factory.mktemp("stylegan")
    (root / "people").mkdir()
    for seed in range(40):
        cv2.imwrite(str(root / f"people/{seed:02}.png"), make_face(seed, 32)[:, :, ::-1])
    done = mesoscope(*TRAIN, "--kimg", "0.032", cwd=root)
    assert done.returncode == 0, done.stderr
    assert "people: 40 real pictures at 16 px" in done.stderr
    assert "0.032 thousand pictures: loss G" in done.stderr
    assert done.stderr.splitlines()[-1] == "generator: run/generator.safetensors"
    return root


TRAIN = (
    "synth", "stylegan-train", "people", "--out", "run", "--size", "16", "--channels-max", "8",
    "--style-dim", "8", "--mapping-layers", "2", "--batch", "8", "--snapshot", "0.016",
    "--distance-pictures", "8", "--threads", "1",
)  # fmt: skip


def test_from_reals_to_a_data_set(place):
    ask = ("synth", "stylegan", "run/generator.safetensors", "--out", "set", "--reals", "people",
           "--size", "8", "--sheet", "sheet.png")  # fmt: skip
    done = mesoscope(*ask, "--count", "12", cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("12 faces made in ")
    samples = read_dataset(place / "set")
    assert [s.label for s in samples].count(1) == [s.label for s in samples].count(0) == 12
    assert (place / "sheet.png").is_file()

    done = mesoscope(*ask, "--seeds", "0-13,39-41", cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("5 faces made in ")
    assert "12 existed already; 2 have no real counterpart" in done.stderr
    done = mesoscope(*ask, "--mixing", cwd=place)
    assert done.returncode == 2
    assert "was started with mixing false, and now it is true" in done.stderr


def test_a_run_goes_on(place):
    done = mesoscope(*TRAIN, "--kimg", "0.048", "--resume", cwd=place)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (place / "run/log.jsonl").read_text().splitlines()]
    assert [line["kimg"] for line in lines] == [0.016, 0.032, 0.048]
    assert all(line["distance"] > 0 for line in lines)
    done = mesoscope(*TRAIN, cwd=place)
    assert done.returncode == 2
    assert "continue it with --resume" in done.stderr


class Payload:
    def __reduce__(self):
        return print, ("this must never be seen",)


def test_what_goes_wrong_is_one_line(place):
    (place / "network.pkl").write_bytes(pickle.dumps(Payload()))
    for arguments, code, says in [
        (("stylegan", "network.pkl", "--out", "x"), 3, "nothing of it was loaded"),
        (("stylegan", "none.pt", "--out", "x"), 3, "no such file"),
        (
            ("stylegan", "run/best.safetensors", "--out", "x", "--truncated-layers", "99"),
            2,
            "truncated layers 99: must lie in 0..6",
        ),
        (("stylegan", "run/best.safetensors", "--out", "people"), 2, "is not empty"),
        (("stylegan-train", "none", "--out", "x"), 2, "no such folder"),
        (("stylegan-train", "people", "--out", "x", "--size", "20"), 2, "4, 8, 16"),
        (("stylegan-train", "people", "--out", "people", "--size", "16"), 2, "is not empty"),
    ]:
        done = mesoscope("synth", *arguments, cwd=place)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert says in done.stderr
        assert done.stderr.count("\n") == 1
        assert not (place / "x/synth.json").exists()


@pytest.mark.parametrize("seeds", ["4-2", "a", "1-", "0-99999999"])
def test_seeds_that_are_none(place, seeds):
    ask = ("synth", "stylegan", "run/best.safetensors", "--out", "x", "--seeds", seeds)
    done = mesoscope(*ask, cwd=place)
    assert done.returncode == 2
    assert "--seeds" in done.stderr
