"""An option is one field: what it allows, how a command says it, whether verdicts hang on it."""

import dataclasses
import pickle

import pytest

from mesoscope.errors import OptionError
from mesoscope.types import DetectOptions
from mesoscope.types.options import OptionInfo, option_infos


def test_every_field_says_what_is_known_of_it():
    infos = option_infos()
    assert list(infos) == [one.name for one in dataclasses.fields(DetectOptions)]
    assert all(info.help and info.flag for info in infos.values())
    assert len({info.flag for info in infos.values()}) == len(infos)


@pytest.mark.parametrize(
    ("info", "good", "bad", "message"),
    [
        ({"choices": ("a", "b")}, "b", "c", "x must be one of a, b, got 'c'"),
        ({"least": 1}, 1, 0, "x must be at least 1, got 0"),
        ({"least": 0, "most": 1}, 1.0, 1.5, "x must lie in 0..1, got 1.5"),
        ({"least": 0, "most": 1, "is_open": True}, 0.5, 1, "x must lie between 0 and 1, got 1"),
        ({"least": 0, "is_open": True}, 3.5, 0.0, "x must be above 0 and finite, got 0.0"),
        (
            {"least": 0, "is_open": True},
            None,
            float("inf"),
            "x must be above 0 and finite, got inf",
        ),
    ],
)
def test_what_a_range_refuses(info, good, bad, message):
    made = OptionInfo("help", "x", float, **info)
    assert made.refusal("x", good) is None
    assert made.refusal("x", bad) == message


def test_options_that_decide_are_those_that_a_job_keeps():
    told = DetectOptions(frames=4, jobs=3, batch_size=2, heat=True).deciding()
    assert not {"jobs", "batch_size", "heat"} & told.keys()
    assert DetectOptions.of_settings(told) == DetectOptions(frames=4)
    assert DetectOptions.of_settings({"of_a_newer_version": 1}) == DetectOptions()
    with pytest.raises(OptionError, match="frames must be at least 1"):
        DetectOptions.of_settings({"frames": 0})


def test_the_command_line_says_the_same_again():
    options = DetectOptions(faces="mtcnn", every_s=0.5, guard=False, max_pixels=1_500_000, jobs=2)
    assert options.arguments() == [
        "--faces=mtcnn", "--frames=32", "--every=0.5", "--no-guard", "--max-pixels=1.5",
        "--min-face=40",
    ]  # fmt: skip


def test_arguments_are_read_back_by_the_commands():
    import click

    from mesoscope.cli import detection

    found = []

    @click.command()
    @detection.detection_options()
    def command():
        found.append(detection.spec(jobs=2))

    options = DetectOptions(
        faces="yunet", finder_model="y.onnx", every_s=0.5, fpr=0.01, guard=False,
        max_pixels=1_500_000, min_face_px=64, frames=9,
    )  # fmt: skip
    command([*options.arguments(), "--model=meso4"], standalone_mode=False)
    assert found[0].model == "meso4"
    assert found[0].options == dataclasses.replace(options, jobs=2)


def test_options_travel():
    options = DetectOptions(frames=4)
    assert pickle.loads(pickle.dumps(options)) == options
    assert hash(options) == hash(DetectOptions(frames=4))


def test_options_of_prepared_sets_are_those_of_the_detector():
    from mesoscope.data.prepare import PrepareOptions

    names = [name for name, info in option_infos().items() if info.prepares]
    assert names == ["faces", "finder_model", "frames", "max_pixels", "min_face_px"]
    options = PrepareOptions(faces="mtcnn", frames=4, max_pixels=10_000, min_face_px=24)
    assert options.detect() == DetectOptions(
        faces="mtcnn", frames=4, max_pixels=10_000, min_face_px=24
    )
