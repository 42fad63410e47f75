"""The most confident mistakes."""

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from mesoscope.faces.crop import crop
from mesoscope.report.mistakes import contact_sheet, worst
from mesoscope.report.plots import DARK, LIGHT, png
from mesoscope.report.record import Prediction


def made(count, label, *, start, step):
    return [
        Prediction(f"{label}-{i}.jpg", label, "s", str(i), "test", start + step * i, "real")
        for i in range(count)
    ]


def test_the_furthest_from_one_half_come_first_ten_of_each(evaluated):
    reals = made(15, 0, start=0.55, step=0.02)
    fakes = made(15, 1, start=0.05, step=0.02)
    right = [*made(5, 0, start=0.01, step=0.01), *made(5, 1, start=0.9, step=0.01)]
    called_fake, called_real = worst(evaluated([*right, *reals, *fakes]))
    assert [m.prediction for m in called_fake] == reals[::-1][:10]
    assert [m.prediction for m in called_real] == fakes[:10]


def test_one_kind_fills_the_places_of_the_other(evaluated):
    reals, fakes = made(3, 0, start=0.6, step=0.1), made(30, 1, start=0.1, step=0.01)
    called_fake, called_real = worst(evaluated([*reals, *fakes]))
    assert (len(called_fake), len(called_real)) == (3, 17)
    called_fake, called_real = worst(evaluated([*made(30, 0, start=0.6, step=0.01), *fakes[:4]]))
    assert (len(called_fake), len(called_real)) == (16, 4)


def test_one_half_itself_is_called_fake(evaluated):
    half = [
        Prediction("r.jpg", 0, "s", "1", "test", 0.5, "fake"),
        Prediction("f.jpg", 1, "s", "2", "test", 0.5, "fake"),
    ]
    called_fake, called_real = worst(evaluated(half))
    assert [m.name for m in called_fake] == ["r.jpg"]
    assert called_real == []


def test_what_is_shown_is_the_crop_that_was_scored(evaluation, evaluated, tmp_path, make_face):
    path, box = tmp_path / "wide.png", (20.0, 8.0, 84.0, 72.0)
    picture = make_face(3, 96)
    Image.fromarray(picture).save(path)
    item = Prediction(str(path), 0, "s", "1", "test", 0.9, "fake", box)
    gone = dataclasses.replace(item, path=str(tmp_path / "gone.png"), p_fake=0.8)
    (first, second), _ = worst(evaluated([item, gone]))
    np.testing.assert_array_equal(first.crop, crop(picture, box, size_px=64))
    assert (first.name, first.truth) == ("wide.png", "real")
    assert second.crop is None


def test_the_sheet_shows_pictures_and_captions(evaluation):
    kinds = worst(evaluation)
    sheet = contact_sheet(kinds, LIGHT)
    shown = [axes for axes in sheet.axes if axes.images]
    assert len(shown) == sum(map(len, kinds)) > 5
    first = kinds[0][0]
    caption = shown[0].texts[0].get_text()
    assert f"p_fake {first.prediction.p_fake:.3f}, truth real" in caption
    assert first.name in caption
    assert first.prediction.source in caption
    np.testing.assert_array_equal(shown[0].images[0].get_array(), first.crop)
    assert png(sheet).startswith(b"\x89PNG")


def test_names_of_all_kinds_can_be_drawn(evaluation, evaluated):
    # Dollars are mathematics to matplotlib, and its font lacks Chinese: both would warn or raise.
    names = ["$1_{.jpg", "图片.jpg", "a" * 200 + ".jpg", "tab\tnew\nline.jpg", "\udce9.jpg"]
    items = [
        dataclasses.replace(evaluation.predictions[0], path=n, source=n, p_fake=0.9, label=0)
        for n in names
    ]
    sheet = contact_sheet(worst(evaluated(items)), DARK)
    assert png(sheet).startswith(b"\x89PNG")
    captions = "".join(text.get_text() for axes in sheet.axes for text in axes.texts)
    assert "$1_{.jpg" in captions
    assert "图" not in captions


def test_without_a_mistake_there_is_no_sheet(evaluated):
    assert contact_sheet(worst(evaluated(made(3, 0, start=0.1, step=0.01))), LIGHT) is None


def test_only_the_name_of_a_path_is_shown(evaluation):
    for kind in worst(evaluation):
        for mistake in kind:
            assert mistake.name == Path(mistake.prediction.path).name
