"""The survey before training, the draw of an epoch, crops and batches."""

from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesoscope.data.manifest import Sample, read_dataset, row_of, write_manifest
from mesoscope.detection.detector import Detector
from mesoscope.detection.scorer import Scores
from mesoscope.errors import DatasetError
from mesoscope.training.data.dataset import batches, draw_epoch, plain_crop, survey, training_crop
from mesoscope.training.recipe.keys import DataKeys
from mesoscope.training.recipe.recipe import Recipe
from mesoscope.types import ModelCard


def look(root, *, skip_unreadable=False, watch=lambda items, _: items):
    return survey(read_dataset(root), where="set", skip_unreadable=skip_unreadable, watch=watch)


def refused(root, **options):
    with pytest.raises(DatasetError) as caught:
        look(root, **options)
    return str(caught.value)


# --- survey


def test_a_sound_set_is_surveyed_whole(make_dataset):
    found = look(make_dataset(train=3, validation=2))
    assert Counter(s.label for s in found.train) == {0: 3, 1: 3}
    assert Counter(s.label for s in found.validation) == {0: 2, 1: 2}
    assert (found.unreadable, found.repeated) == ((), ())
    assert len(found.digests) == 64


def test_the_watcher_sees_every_picture(make_dataset):
    seen = []

    def watch(items, total):
        seen.append(total)
        for item in items:
            seen.append(type(item))
            yield item

    look(make_dataset(train=3, validation=2), watch=watch)
    assert seen == [10] + [str] * 10


def test_the_identity_of_the_data_follows_its_content(make_dataset):
    root = make_dataset()
    one = look(root).digests
    assert look(root).digests == one
    first, second = root / "train/real/00.jpg", root / "train/real/01.jpg"
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert look(root).digests != one


def test_unreadable_pictures_stop_it_and_are_all_named(make_dataset):
    root = make_dataset()
    whole = (root / "train/fake/00.jpg").read_bytes()
    (root / "train/fake/00.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "validation/real/01.jpg").write_bytes(b"")
    (root / "train/real/02.jpg").unlink()
    (root / "train/real/02.jpg").symlink_to("gone.jpg")
    first, *lines = refused(root).splitlines()
    assert first.startswith("set: unreadable pictures: 3; mend or remove them")
    assert "`skip_unreadable`" in first
    assert [line.strip() for line in lines] == [
        f"{root}/train/real/02.jpg: a link that points nowhere: check the path",
        f"{root}/train/fake/00.jpg: the JPEG is truncated: fetch it again",
        f"{root}/validation/real/01.jpg: the file is empty: fetch it again",
    ]


def test_unreadable_pictures_can_be_left_out(make_dataset):
    root = make_dataset()
    before = look(root)
    (root / "train/fake/00.jpg").write_bytes(b"")
    found = look(root, skip_unreadable=True)
    assert found.unreadable == (f"{root}/train/fake/00.jpg: the file is empty: fetch it again",)
    assert len(found.train) == 7
    assert all(s.path.name != "00.jpg" for s in found.train if s.label)
    assert found.digests != before.digests


def test_a_manifest_that_names_missing_files(make_dataset):
    root = make_dataset()
    rows = [f"{s.path.relative_to(root)},{['real', 'fake'][s.label]},{s.split}"
            for s in read_dataset(root)]  # fmt: skip
    rows.append("train/gone.jpg,fake,train")
    (root / "manifest.csv").write_text("path,label,split\n" + "\n".join(rows))
    assert f"{root}/train/gone.jpg: no such file" in refused(root)


def test_a_file_that_is_not_the_manifests_is_named(make_dataset):
    root = make_dataset()
    rows = [{**row_of(s, root), "sha256": sha256(s.path.read_bytes()).hexdigest().upper()}
            for s in read_dataset(root)]  # fmt: skip
    write_manifest(root / "manifest.csv", rows)
    assert look(root).unreadable == ()
    changed = root / "train/real/01.jpg"
    changed.write_bytes((root / "train/real/02.jpg").read_bytes())
    first, line = refused(root).splitlines()
    assert first.startswith("set: unreadable or changed pictures: 1; mend or remove them")
    assert f"{changed}: is not the file that the manifest means, its SHA-256 begins" in line
    found = look(root, skip_unreadable=True)
    assert (len(found.train), len(found.unreadable)) == (7, 1)


def test_nothing_readable_at_all(make_dataset):
    root = make_dataset(train=1, validation=1)
    for path in root.rglob("*.jpg"):
        path.write_bytes(b"")
    assert "no real pictures in train" in refused(root, skip_unreadable=True)


def test_a_class_that_is_empty_after_skipping(make_dataset):
    root = make_dataset(train=1)
    (root / "train/fake/00.jpg").write_bytes(b"")
    assert "no fake pictures in train" in refused(root, skip_unreadable=True)


@pytest.mark.parametrize("gone", ["train/real", "validation/fake"])
def test_an_empty_class_is_named_before_anything_is_read(make_dataset, gone):
    root = make_dataset()
    for path in (root / gone).iterdir():
        path.unlink()
    split, label = gone.split("/")
    read = []
    message = refused(root, watch=lambda items, _: read.append(items) or items)
    assert f"no {label} pictures in {split}" in message
    assert read == []


def test_a_picture_of_both_splits_stays_in_validation_only(make_dataset):
    root = make_dataset()
    (root / "train/real/copy.jpg").write_bytes((root / "validation/real/00.jpg").read_bytes())
    found = look(root)
    assert found.repeated == (f"{root}/train/real/copy.jpg",)
    assert len(found.train) == 8
    assert len(found.validation) == 8


@pytest.mark.parametrize("split", ["train", "validation"])
def test_one_file_under_both_labels_is_refused(make_dataset, split):
    root = make_dataset()
    (root / "train/fake/copy.jpg").write_bytes((root / split / "real/00.jpg").read_bytes())
    message = refused(root)
    assert "under both labels" in message
    assert "train/fake/copy.jpg" in message
    assert f"{split}/real/00.jpg" in message


def test_the_test_split_is_not_touched(make_dataset):
    root = make_dataset()
    (root / "test/real").mkdir(parents=True)
    (root / "test/real/bad.jpg").write_bytes(b"")
    assert look(root).unreadable == ()


# --- draw


def deck(**sizes):
    """Samples of several sources: ``deck(a=(reals, fakes), b=…)``."""
    return [
        Sample(Path(f"{source}{label}{i}"), label, source, "g", "train")
        for source, counts in sizes.items()
        for label, count in enumerate(counts)
        for i in range(count)
    ]


def drawn(samples, seed=0, **keys):
    return draw_epoch(samples, DataKeys(**keys), np.random.default_rng(seed))


def shares(samples, order, key):
    counts = Counter(key(samples[i]) for i in order)
    return {k: v / len(order) for k, v in counts.items()}


counts = st.tuples(st.integers(0, 30), st.integers(0, 30)).filter(any)


@given(
    st.dictionaries(st.sampled_from("abcd"), counts, min_size=1),
    st.integers(0, 200), st.booleans(), st.floats(0, 1), st.integers(0, 99),
)  # fmt: skip
def test_any_draw_has_its_length_and_deals_evenly(sizes, length, balance, power, seed):
    samples = deck(**sizes)
    order = drawn(samples, seed, images_per_epoch=length, balance_classes=balance,
                  source_power=power)  # fmt: skip
    assert order.dtype == np.int64
    assert len(order) == (length or len(samples))
    times = Counter(order.tolist())
    for source in sizes:
        for label in (0, 1):
            own = [i for i, s in enumerate(samples) if (s.source, s.label) == (source, label)]
            if own:  # none a second time before all came once
                assert max(times[i] for i in own) - min(times[i] for i in own) <= 1


def test_classes_are_balanced_within_each_source():
    samples = deck(a=(90, 10), b=(20, 80))
    both = shares(samples, drawn(samples, balance_classes=True), lambda s: (s.source, s.label))
    assert both == pytest.approx({("a", 0): 0.25, ("a", 1): 0.25, ("b", 0): 0.25, ("b", 1): 0.25})
    as_is = drawn(samples, balance_classes=False, source_power=1.0)
    assert sorted(as_is.tolist()) == list(range(200))


@pytest.mark.parametrize(("power", "share"), [(1.0, 0.8), (0.5, 2 / 3), (0.0, 0.5)])
def test_sources_are_drawn_by_their_size_to_a_power(power, share):
    samples = deck(large=(400, 400), small=(100, 100))
    by_source = shares(samples, drawn(samples, source_power=power), lambda s: s.source)
    assert by_source["large"] == pytest.approx(share, abs=0.002)


def test_a_source_of_one_class_gets_its_share():
    samples = deck(a=(50, 0), b=(25, 25))
    by = shares(samples, drawn(samples, source_power=0.0), lambda s: (s.source, s.label))
    assert by == pytest.approx({("a", 0): 0.5, ("b", 0): 0.25, ("b", 1): 0.25})


def test_a_draw_is_repeatable_and_mixed():
    samples = deck(a=(50, 50), b=(50, 50))
    one = drawn(samples, seed=(1, 0))
    assert np.array_equal(one, drawn(samples, seed=(1, 0)))
    assert not np.array_equal(one, drawn(samples, seed=(1, 1)))
    first_half = shares(samples, one[:100], lambda s: (s.source, s.label))
    assert all(share > 0.1 for share in first_half.values())


# --- crops and batches


class Recorder:
    """A scorer that keeps the crops it is given."""

    model_id = "recorder@00000000"

    def __init__(self, margin):
        self.card = ModelCard("recorder", "meso4", crop_margin=margin)
        self.crops = []

    def score(self, crops, *, heat=False):
        self.crops.extend(np.array(crops))
        nothing = np.zeros(len(crops), np.float32)
        return Scores(nothing, nothing, None)


@pytest.mark.parametrize("margin", [1.0, 1.3])
def test_training_sees_the_crops_that_inference_sees(margin, make_dataset):
    samples = read_dataset(make_dataset(train=2, validation=1, size_px=90))
    recorder = Recorder(margin)
    list(Detector(recorder, faces="whole", jobs=1).check_many([s.path for s in samples]))
    for sample, seen in zip(samples, recorder.crops, strict=True):
        assert np.array_equal(plain_crop(sample, margin), seen)


def test_a_training_crop_follows_its_key(make_dataset):
    sample = read_dataset(make_dataset())[0]
    one = training_crop(sample, Recipe(), (1, 0, 5))
    assert one.shape == (256, 256, 3)
    assert np.array_equal(one, training_crop(sample, Recipe(), (1, 0, 5)))
    assert not np.array_equal(one, training_crop(sample, Recipe(), (1, 0, 6)))


@given(st.integers(0, 30), st.integers(1, 10))
def test_batches_hold_everything_in_order(count, size):
    crops = [np.full((2, 2, 3), i, np.uint8) for i in range(count)]
    stacks = list(batches(iter(crops), size))
    assert [len(s) for s in stacks[:-1]] == [size] * (len(stacks) - 1)
    assert [int(one[0, 0, 0]) for s in stacks for one in s] == list(range(count))
    assert all(s.shape[1:] == (2, 2, 3) and s.dtype == np.uint8 for s in stacks)


def test_the_classes_of_the_test_set_can_be_told_apart(make_dataset):
    root = make_dataset(train=8)

    def checker(sample):
        grey = plain_crop(sample, 1.0)[:, :, 1].astype(float)
        cells = grey.reshape(16, 16, 16, 16).mean((1, 3))
        return abs((cells * (-1.0) ** np.indices((16, 16)).sum(0)).mean())

    strength = {
        label: [checker(s) for s in read_dataset(root) if s.label == label] for label in (0, 1)
    }
    assert min(strength[1]) > max(strength[0])
