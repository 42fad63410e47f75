"""FaceForensics++: methods, compressions, splits, actors, masks, and what copies lack."""

import json

import pytest

from mesoscope.data.layouts.recognise import read_set
from mesoscope.data.split import assign_splits
from mesoscope.errors import DatasetError


def by_name(reading):
    return {item.name: item for item in reading.items}


def counts(reading):
    return {count.what: (count.found, count.expected) for count in reading.counts}


def test_a_pair_goes_together_with_all_its_fakes(tmp_path, trees):
    items = by_name(read_set(trees.ffpp(tmp_path)))
    for number, other in (("071", "054"), ("054", "071")):
        real = items[f"original_sequences/youtube/c23/{number}"]
        assert (real.label, real.group, real.split, real.method) == (0, "054_071", "test", "")
        for method in trees.FF_METHODS:
            fake = items[f"manipulated_sequences/{method}/c23/{number}_{other}"]
            assert (fake.label, fake.group, fake.split) == (1, "054_071", "test")
            assert (fake.method, fake.original, fake.is_clip) == (method, real.name, True)
    assert items["original_sequences/youtube/c23/003"].split == "train"
    assert items["original_sequences/youtube/c23/006"].split == "validation"


def test_masks_belong_to_their_fake(tmp_path, trees):
    root = trees.ffpp(tmp_path)
    items = by_name(read_set(root))
    mask = root / "manipulated_sequences/Deepfakes/masks/videos/071_054.mp4"
    assert items["manipulated_sequences/Deepfakes/c23/071_054"].mask == mask
    assert items["manipulated_sequences/FaceShifter/c23/071_054"].mask is None
    assert items["original_sequences/youtube/c23/071"].mask is None


def test_actors_are_groups_and_have_no_official_split(tmp_path, trees):
    items = by_name(read_set(trees.ffpp(tmp_path)))
    real = items["original_sequences/actors/c23/01__hugging_happy"]
    fake = items["manipulated_sequences/DeepFakeDetection/c23/01_02__hugging_happy__YVGY8LOK"]
    assert (real.group, real.person, real.split) == ("actor_01", "actor_01", None)
    assert (fake.group, fake.donor, fake.split) == ("actor_01", "actor_02", None)
    assert (fake.original, fake.method) == (real.name, "DeepFakeDetection")


@pytest.mark.parametrize(
    ("asked", "read"),
    [("raw", "raw"), ("c0", "raw"), ("C23", "c23"), ("hq", "c23"), ("c40", "c40"), ("LQ", "c40")],
)
def test_one_compression_is_read(tmp_path, trees, asked, read):
    reading = read_set(trees.ffpp(tmp_path), quality=asked)
    assert {item.name.split("/")[2] for item in reading.items} == {read}
    assert len(reading.items) == 8 + 5 * 8 + 4 + 4


@pytest.mark.parametrize(
    ("here", "read", "said"),
    [
        (("raw", "c23", "c40"), "c23", "c23 is read, of c23, raw, c40"),
        (("raw", "c40"), "raw", "raw is read, of raw, c40"),
        (("c40",), "c40", "c40 is read, as c23 is not here"),
    ],
)
def test_without_a_choice_c23_else_what_is_there(tmp_path, trees, here, read, said):
    reading = read_set(trees.ffpp(tmp_path, qualities=here))
    assert {item.name.split("/")[2] for item in reading.items} == {read}
    assert any(note.startswith(said) for note in reading.notes)


def test_folders_of_the_other_names_of_compressions(tmp_path, trees):
    root = trees.ffpp(tmp_path, qualities=("c0", "HQ"))
    assert all("/HQ/" in item.name for item in read_set(root).items)
    assert all("/c0/" in item.name for item in read_set(root, quality="raw").items)


def test_a_wrong_compression_is_refused(tmp_path, trees):
    root = trees.ffpp(tmp_path, qualities=("c23",))
    with pytest.raises(DatasetError, match="c40 is not here: name one of c23"):
        read_set(root, quality="c40")
    with pytest.raises(DatasetError, match="'c99' is no compression"):
        read_set(root, quality="c99")


@pytest.mark.parametrize("folder", ["images", "frames"])
def test_folders_of_frames(tmp_path, trees, folder):
    root = trees.ffpp(tmp_path, qualities=("c23",), frames=11, folder=folder)
    item = by_name(read_set(root))["manipulated_sequences/Face2Face/c23/071_054"]
    assert not item.is_clip
    assert [path.stem for path in item.paths] == [f"{n:04}" for n in range(11)]
    assert item.mask is not None


def test_frames_without_leading_noughts_are_in_order(tmp_path, trees):
    root = trees.ffpp(tmp_path, qualities=("c23",), frames=1, folder="frames")
    place = root / "original_sequences/youtube/c23/frames/071"
    for n in (9, 10, 100):
        (place / f"{n}.png").touch()
    (place / "0000.png").unlink()
    item = by_name(read_set(root))["original_sequences/youtube/c23/071"]
    assert [path.stem for path in item.paths] == ["9", "10", "100"]


def test_a_clip_that_is_there_by_frames_too_is_taken_once(tmp_path, trees):
    root = trees.ffpp(tmp_path, qualities=("c23",))
    whole = len(read_set(root).items)
    trees.ffpp(tmp_path, qualities=("c23",), frames=2, folder="images")
    reading = read_set(root)
    assert len(reading.items) == whole
    assert all(item.is_clip for item in reading.items)
    assert any("8 clips are there twice" in note for note in reading.notes)


def test_counts_against_the_whole_set(tmp_path, trees):
    reading = read_set(trees.ffpp(tmp_path, methods=("Deepfakes",), dfd=False))
    assert counts(reading) == {
        "real (youtube), c23": (8, 1000),
        "Deepfakes, c23": (8, 1000),
        "Face2Face, c23": (0, 1000),
        "FaceSwap, c23": (0, 1000),
        "NeuralTextures, c23": (0, 1000),
        "FaceShifter, c23": (0, 1000),
        "real (actors), c23": (0, 363),
        "DeepFakeDetection, c23": (0, 3068),
    }
    assert (
        "not here: Face2Face, FaceSwap, NeuralTextures, FaceShifter, real (actors), "
        "DeepFakeDetection"
    ) in reading.notes


def test_a_method_in_another_compression_alone_is_said(tmp_path, trees):
    root = trees.ffpp(tmp_path, qualities=("c23",), methods=("Deepfakes",), dfd=False)
    trees.ffpp(tmp_path, qualities=("c40",), methods=("FaceSwap",), dfd=False)
    reading = read_set(root)
    assert {item.method for item in reading.items} == {"", "Deepfakes"}
    assert "FaceSwap is not here in c23, but in c40" in reading.notes


def test_a_method_of_ones_own_is_read_as_fakes(tmp_path, trees):
    root = trees.ffpp(tmp_path, methods=("Deepfakes", "MySwap"))
    reading = read_set(root)
    assert sum(item.method == "MySwap" for item in reading.items) == 8
    assert any(note.startswith("MySwap is no method of the set") for note in reading.notes)


def test_without_lists_pairs_are_told_by_the_fakes(tmp_path, trees):
    reading = read_set(trees.ffpp(tmp_path, lists=None, dfd=False))
    assert {item.split for item in reading.items} == {None}
    assert {item.group for item in reading.items} == {"000_003", "001_870", "002_006", "054_071"}
    assert any(
        note.startswith("train.json, val.json, test.json not here") for note in reading.notes
    )


def test_lists_in_a_folder_as_in_the_repository(tmp_path, trees):
    root = trees.ffpp(tmp_path)
    (root / "dataset/splits").mkdir(parents=True)
    for name in trees.FF_SPLITS:
        (root / name).rename(root / "dataset/splits" / name)
    assert {i.split for i in read_set(root).items} == {"train", "validation", "test", None}


def test_lists_of_another_length_are_told(tmp_path, trees):
    notes = read_set(trees.ffpp(tmp_path)).notes
    assert "train.json holds 2 pairs, the official one 360" in notes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"train\.json: is empty"),
        ('[["000", "003"],\n["001"', r"train\.json, line 2: is no JSON"),
        ('{"000": "003"}', r"train\.json: holds no list of pairs"),
        ('[["000", "003"], ["001"]]', r"train\.json, pair 2: .* is no pair"),
        ('[["000", "abc"]]', r"train\.json, pair 1"),
    ],
)
def test_damaged_lists_are_refused(tmp_path, trees, text, said):
    root = trees.ffpp(tmp_path)
    (root / "train.json").write_text(text)
    with pytest.raises(DatasetError, match=said):
        read_set(root)


def test_a_list_that_is_no_text_is_refused(tmp_path, trees):
    root = trees.ffpp(tmp_path)
    (root / "train.json").write_bytes(b"\xff\xfe\x00[")
    with pytest.raises(DatasetError, match=r"train\.json: is not UTF-8"):
        read_set(root)


def test_a_clip_in_two_lists_is_refused(tmp_path, trees):
    root = trees.ffpp(tmp_path)
    (root / "val.json").write_text(json.dumps([["000", "006"]]))
    with pytest.raises(DatasetError, match="000 stands in train as well"):
        read_set(root)


def test_a_fake_of_two_splits_tears_no_group(tmp_path, trees):
    """A swap that no list pairs: 000 is of train, 071 of test."""
    root = trees.ffpp(tmp_path, dfd=False)
    (root / "manipulated_sequences/Deepfakes/c23/videos/000_071.mp4").touch()
    reading = read_set(root)
    joined = [i for i in reading.items if i.group == "000_003_and_2"]
    assert {i.split for i in joined} == {"test", None}
    assert {i.split for i in joined if "054" in i.name} == {"test"}
    assert any("of train share a group with test" in note for note in reading.notes)
    assigned = assign_splits(reading.items)
    assert "train" not in {i.split for i in assigned.items if i.group == "000_003_and_2"}
    assert {i.name for i in assigned.left_out} == {i.name for i in joined if i.split is None}


def test_unknown_files_are_named_and_not_fatal(tmp_path, trees):
    root = trees.ffpp(tmp_path)
    place = root / "manipulated_sequences/Deepfakes/c23/videos"
    before = len(read_set(root).items)
    for name in ("readme.txt", "final cut.mp4", "071.mp4", "071_054.avi", "poster.png"):
        (place / name).touch()
    reading = read_set(root)
    assert len(reading.items) == before
    told = "\n".join(reading.notes)
    assert "not named as clips of Deepfakes" in told
    assert "final cut.mp4" in told
    assert "readme.txt" in told
    assert "071_054.avi" in told or "071_054.mp4" in told
    assert "poster.png" in told


def test_the_first_release_has_no_folder_for_youtube(tmp_path, trees):
    root = trees.ffpp(tmp_path, dfd=False)
    (root / "original_sequences/youtube").rename(root / "originals")
    (root / "originals").rename(root / "original_sequences_new")
    (root / "original_sequences").rmdir()
    (root / "original_sequences_new").rename(root / "original_sequences")
    assert counts(read_set(root))["real (youtube), c23"] == (8, 1000)


@pytest.mark.parametrize(
    ("name", "quality"), [("FaceForensics++_C23", "c23"), ("ff c40 (1)", "c40"), ("ff", "c23")]
)
def test_the_flat_copy_of_kaggle(tmp_path, trees, name, quality):
    root = trees.ffpp(tmp_path, qualities=("c23",), lists=None, masks=False)
    flat = tmp_path / name
    for folder in ("original_sequences/youtube", "manipulated_sequences/Deepfakes",
                   "manipulated_sequences/DeepFakeDetection"):  # fmt: skip
        flat.mkdir(exist_ok=True)
        last = folder.rpartition("/")[2].replace("youtube", "original")
        (root / folder / "c23/videos").rename(flat / last)
    (flat / "csv").mkdir()
    (flat / "csv/Deepfakes.csv").touch()
    for named in (flat, flat / "Deepfakes"):
        reading = read_set(named)
        assert (reading.layout, reading.root) == ("ffpp", flat)
        assert counts(reading)[f"real (youtube), {quality}"] == (8, 1000)
        assert counts(reading)[f"Deepfakes, {quality}"] == (8, 1000)
        assert counts(reading)[f"DeepFakeDetection, {quality}"] == (4, 3068)
    fake = by_name(reading)["Deepfakes/071_054"]
    assert (fake.group, fake.split, fake.original) == ("054_071", None, "original/071")


def test_a_copy_without_compressions_is_refused(tmp_path):
    (tmp_path / "original_sequences/youtube").mkdir(parents=True)
    with pytest.raises(DatasetError, match="no compression of FaceForensics"):
        read_set(tmp_path)
