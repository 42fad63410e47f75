"""What names and folders give away."""

import pytest

from mesoscope.data.audit.facts import read_name


@pytest.mark.parametrize(
    ("name", "shape", "words", "number"),
    [
        ("train/real/real_00001.jpg", "a4_95", "real", 1),
        ("train/fake/0A0IAK9X2W.jpg", "91A191A", None, 2),
        ("a/b-12-345.png", "a1-92-93", "none", 345),
        ("x/id0_id16_0000.png", "a291_a292_94", "none", 0),
    ],
)
def test_facts_of_a_name(name, shape, words, number) -> None:
    facts, numbers = read_name(name)
    assert facts["name_shape"].startswith(shape)
    assert words is None or facts["name_words"] == words
    assert numbers["name_number"] == number


def test_folders_of_class_and_split_are_no_news() -> None:
    assert read_name("train/real/1.jpg")[0]["folder"] == "none"
    assert read_name("dfdc/Validation/FAKE/1.jpg")[0]["folder"] == "dfdc"
    assert read_name("cam1/train/real/night/1.jpg")[0]["folder"] == "cam1/night"


def test_a_name_without_digits_has_no_number() -> None:
    facts, numbers = read_name("portrait.jpg")
    assert "name_number" not in numbers
    assert numbers["name_length"] == 8
    assert facts["name_words"] == "portrait"
