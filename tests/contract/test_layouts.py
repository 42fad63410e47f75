"""What every reader of a public set keeps to, on trees built as the sets are published."""

from collections import defaultdict

import pytest

from mesoscope.data.layouts.folders import candidate_roots
from mesoscope.data.layouts.recognise import LAYOUTS, read_set, recognise
from mesoscope.data.split import assign_splits
from mesoscope.errors import DatasetError

SETS = (
    "ffpp", "dfdc", "celeb_df", "uadfv", "faces_140k", "ciplab", "openforensics", "cnndetection",
    "fal", "plain",
)  # fmt: skip
OTHERS = ("dfdc_sample", "dfdc_test", "dfdc_preview")  # further ways in which DFDC is published


@pytest.fixture(params=[*SETS, *OTHERS])
def built(request, tmp_path, trees):
    """The reader's name, and the root of its set."""
    root = getattr(trees, request.param)(tmp_path)
    return request.param.partition("dfdc_")[1].rstrip("_") or request.param, root


def splits_of_groups(items):
    splits = defaultdict(set)
    for item in items:
        if item.split is not None:
            splits[item.group].add(item.split)
    return splits


def test_each_reader_has_a_tree(trees):
    assert set(SETS) == set(LAYOUTS) == set(trees.BUILDERS)


def test_only_its_own_reader_recognises_a_tree(built):
    name, root = built
    reader, place = recognise(root)
    assert (reader.name, place) == (name, root)
    others = [r.name for r in LAYOUTS.values() if r.is_root(root) and r.name not in (name, "plain")]
    assert others == []


def test_items_are_whole(built):
    name, root = built
    reading = read_set(root)
    assert (reading.layout, reading.root) == (name, root)
    assert reading.title.startswith(LAYOUTS[name].title)
    assert {item.label for item in reading.items} == {0, 1}
    names = [item.name for item in reading.items]
    assert len(set(names)) == len(names)
    reals = {item.name for item in reading.items if not item.label}
    for item in reading.items:
        assert item.paths
        assert all(path.is_file() and path.is_relative_to(root) for path in item.paths)
        assert item.name
        assert not item.name.startswith("/")
        assert item.group
        assert item.split in (None, "train", "validation", "test")
        assert bool(item.method) == bool(item.label)
        assert not item.original or (item.label and item.original in reals)
        assert not item.donor or item.label
        assert item.mask is None or (item.label and item.mask.is_file())


def test_labels_agree_with_what_the_builder_wrote(request, tmp_path, trees):
    for build in [trees.BUILDERS[name] for name in SETS] + [getattr(trees, n) for n in OTHERS]:
        wrote = {}
        folder = tmp_path / build.__name__
        folder.mkdir()

        def put(path, label, wrote=wrote):
            path.touch()
            wrote[path] = label

        reading = read_set(build(folder, put))
        assert {p: i.label for i in reading.items for p in i.paths}.items() <= wrote.items()


def test_the_order_is_stable(built):
    _, root = built
    assert read_set(root) == read_set(root)


def test_no_group_stands_in_two_splits(built):
    _, root = built
    items = read_set(root).items
    assert all(len(splits) == 1 for splits in splits_of_groups(items).values())
    for official in (True, False):
        assigned = assign_splits(items, seed=3, official=official)
        assert all(len(splits) == 1 for splits in splits_of_groups(assigned.items).values())
        assert len(assigned.items) + len(assigned.left_out) == len(items)
        assert all(item.split for item in assigned.items)


def test_persons_hold_whole_groups(built):
    _, root = built
    persons = defaultdict(set)
    for item in read_set(root).items:
        persons[item.group].add(item.person)
    assert all(len(found) == 1 for found in persons.values())


def test_litter_changes_nothing(built, trees):
    _, root = built
    before = read_set(root)
    trees.litter(root)
    assert read_set(root) == before


@pytest.mark.parametrize("name", SETS)
def test_folders_in_any_case(name, tmp_path, trees):
    root = trees.BUILDERS[name](tmp_path)
    before = read_set(root)
    for folder in sorted((p for p in root.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts)):
        folder.rename(folder.with_name(folder.name.upper()))
    after = read_set(root)
    assert after.layout == name

    def facts(reading):
        # Folders that are not of the set's own names, such as generators', are told as found.
        return sorted(
            (i.paths[0].name.lower(), i.label, i.split or "", i.is_clip, bool(i.original),
             i.method.lower())
            for i in reading.items
        )  # fmt: skip

    assert facts(after) == facts(before)
    assert [c.found for c in after.counts] == [c.found for c in before.counts]


@pytest.mark.parametrize("name", SETS)
def test_links_are_followed(name, tmp_path, trees):
    (tmp_path / "real_place").mkdir()
    root = trees.BUILDERS[name](tmp_path / "real_place")
    link = tmp_path / root.name
    link.symlink_to(root, target_is_directory=True)
    reading = read_set(link)
    assert reading.layout == name
    assert len(reading.items) == len(read_set(root).items)


@pytest.mark.parametrize("name", SETS)
def test_the_folder_above_is_found_through(name, tmp_path, trees):
    (tmp_path / "downloads").mkdir()
    root = trees.BUILDERS[name](tmp_path / "downloads")
    reader, place = recognise(root.parent)
    assert reader.name == name
    # Of trees that nest at will, the folder above is as good a root.
    assert place == (root.parent if name == "cnndetection" else root)


@pytest.mark.parametrize("name", SETS)
def test_no_root_no_set_no_item(name, tmp_path):
    reader = LAYOUTS[name]
    assert candidate_roots(tmp_path, reader.is_root, reader.is_part) == []
    with pytest.raises(DatasetError, match="looked for"):
        reader.read(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        read_set(tmp_path / "missing", layout=name)


@pytest.mark.parametrize("name", SETS)
def test_quality_is_refused_where_there_is_one_alone(name, tmp_path, trees):
    root = trees.BUILDERS[name](tmp_path)
    if LAYOUTS[name].qualities:
        assert read_set(root, quality=LAYOUTS[name].qualities[0]).items
    else:
        with pytest.raises(DatasetError, match="one quality"):
            read_set(root, quality="c23")


@pytest.mark.parametrize("name", SETS)
def test_readers_say_what_they_are(name):
    reader = LAYOUTS[name]
    assert reader.name == name
    assert reader.title
    assert reader.looks_for
    assert reader.terms.endswith(".")


@pytest.mark.parametrize("name", SETS)
def test_half_a_copy_is_read_with_counts(name, tmp_path, trees):
    root = trees.BUILDERS[name](tmp_path)
    whole = read_set(root)
    gone = [path for item in whole.items[::2] for path in item.paths]
    for path in gone:
        path.unlink()
    half = read_set(root)
    assert half.layout == name
    kept = {path for item in half.items for path in item.paths}
    assert kept == {p for item in whole.items for p in item.paths} - set(gone)
