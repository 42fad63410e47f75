"""Public sets as they lie on disk, built small: folders, names and lists exactly as published.

Each builder takes the folder to build in and ``put(path, label)``, which writes one file; without
it files are empty, which is all that readers look at. It returns the set's root. ``BUILDERS`` has
them by the reader's name; the fixture ``trees`` of ``conftest.py`` is this module.
"""

import json

PAIRS = (("000", "003"), ("001", "870"), ("002", "006"), ("071", "054"))
FF_METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
FF_SPLITS = {"train.json": PAIRS[:2], "val.json": PAIRS[2:3], "test.json": PAIRS[3:]}


def empty(path, label):
    path.touch()


def _write(path, label, put):
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, label)


DFD_FAKES = (
    "01_02__hugging_happy__YVGY8LOK", "02_01__hugging_happy__A1B2C3D4",
    "03_01__hugging_happy__00QWERTZ", "04_03__hugging_happy__ZZZZ9999",
)  # fmt: skip


def ffpp(
    parent, put=empty, *, qualities=("raw", "c23", "c40"), methods=FF_METHODS, lists=FF_SPLITS,
    dfd=True, masks=True, frames=0, folder="videos",
):  # fmt: skip
    """FaceForensics++; with ``frames``, so many pictures a clip in ``folder``/NAME/."""
    root = parent / "FaceForensics++"
    swaps = [name for a, b in PAIRS for name in (f"{a}_{b}", f"{b}_{a}")]
    parts = {"original_sequences/youtube": [number for pair in PAIRS for number in pair]}
    parts |= {f"manipulated_sequences/{method}": swaps for method in methods}
    if dfd:
        actors = [f"{actor:02}__hugging_happy" for actor in range(1, 5)]
        parts["original_sequences/actors"] = actors
        parts["manipulated_sequences/DeepFakeDetection"] = DFD_FAKES
    for part, names in parts.items():
        label = int(part.startswith("manipulated"))
        for place in (root / part / quality for quality in qualities):
            for name in names:
                _write_clip(place, name, label, put, frames, folder)
    for method in set(methods) - {"FaceShifter"} if masks else ():
        for name in swaps:
            _write(root / f"manipulated_sequences/{method}/masks/videos/{name}.mp4", 1, put)
    for name, pairs in (lists or {}).items():
        (root / name).write_text(json.dumps([list(pair) for pair in pairs]))
    return root


def _write_clip(place, name, label, put, frames, folder):
    if frames:
        for n in range(frames):
            _write(place / folder / name / f"{n:04}.png", label, put)
    else:
        _write(place / "videos" / f"{name}.mp4", label, put)


def _part(folder, entries, put):
    for name, entry in entries.items():
        _write(folder / name, int(entry["label"] == "FAKE"), put)
    (folder / "metadata.json").write_text(json.dumps(entries))


def _entries(prefix, reals=3, fakes=2):
    """Clips of ten letters: of each real, so many fakes."""
    entries = {}
    for r in range(reals):
        real = f"{prefix}real{'abcdefgh'[r]}.mp4"
        entries[real] = {"label": "REAL", "split": "train"}
        for f in range(fakes):
            name = f"{prefix}fk{'abcdefgh'[r]}{'xyzuvw'[f]}o.mp4"
            entries[name] = {"label": "FAKE", "split": "train", "original": real}
    return entries


def dfdc(parent, put=empty, *, parts=(0, 1, 49)):
    """Parts of the full release."""
    root = parent / "dfdc"
    for part in parts:
        prefix = "abcdefghij"[part // 10] + "klmnopqrst"[part % 10] + "zyx"
        _part(root / f"dfdc_train_part_{part}", _entries(prefix), put)
    return root


def dfdc_sample(parent, put=empty):
    """The small release of Kaggle, whose test clips have no labels."""
    root = parent / "deepfake-detection-challenge"
    entries = _entries("smple")
    entries["smplerealz.mp4"] = {"label": "REAL", "split": "train", "original": None}
    _part(root / "train_sample_videos", entries, put)
    for name in ("aassnaulhq.mp4", "aayfryxljh.mp4"):
        _write(root / "test_videos" / name, 0, put)
    (root / "sample_submission.csv").write_text("filename,label\naassnaulhq.mp4,0.5\n")
    return root


def dfdc_test(parent, put=empty):
    """The test release, with labels.csv: 1 = fake."""
    root = parent / "DFDC"
    labels = {"aalscayrfi.mp4": 1, "ahjnxtiamx.mp4": 1, "aktnlyqpah.mp4": 0, "alaijyygdv.mp4": 0}
    for name, label in labels.items():
        _write(root / "test/videos" / name, label, put)
    lines = [f"{name},{label}" for name, label in labels.items()]
    (root / "test/labels.csv").write_text("\n".join(["filename,label", *lines]) + "\n")
    return root


def dfdc_preview(parent, put=empty):
    """The preview: dataset.json names each clip by its path."""
    root = parent / "dfdc_preview_set"
    entries = {}
    for person, other, split in (
        ("1038039", "1102394", "train"), ("1102394", "1038039", "train"),
        ("2233445", "3344556", "test"), ("3344556", "2233445", "test"),
    ):  # fmt: skip
        real = f"original_videos/{person}/{person}_A_001.mp4"
        entries[real] = {"label": "real", "set": split, "augmentations": [],
                         "target_id": person, "swapped_id": None}  # fmt: skip
        for method in ("method_A", "method_B"):
            fake = f"{method}/{person}/{person}_{other}_A_001.mp4"
            entries[fake] = {"label": "fake", "set": split, "augmentations": [],
                             "target_id": person, "swapped_id": other}  # fmt: skip
    for name, entry in entries.items():
        _write(root / name, int(entry["label"] == "fake"), put)
    (root / "dataset.json").write_text(json.dumps(entries))
    return root


def celeb_df(
    parent, put=empty, *, version=2, youtube="YouTube-real", inner="", frames=0, testing=True
):
    """Celeb-DF; its list says 1 = real, names some fakes of a recording, and has no header."""
    root = parent / f"Celeb-DF-v{version}"
    reals = [f"id{person}_{n:04}" for person in (0, 1, 2, 16) for n in range(3)]
    fakes = [f"id{a}_id{b}_{n:04}" for a, b in ((0, 1), (0, 16), (1, 0), (2, 16)) for n in range(3)]
    clips = {"Celeb-real": reals, youtube: ["00170", "00208", "00005"], "Celeb-synthesis": fakes}
    for folder, names in clips.items():
        label = int(folder == "Celeb-synthesis")
        for name in names:
            if frames:
                for n in range(frames):
                    _write(root / folder / "frames" / name / f"{n:03}.png", label, put)
            else:
                _write(root / folder / inner / f"{name}.mp4", label, put)
    if testing:
        (root / "List_of_testing_videos.txt").write_text(
            "1 YouTube-real/00170.mp4\n1 YouTube-real/00208.mp4\n1 Celeb-real/id1_0000.mp4\n"
            "0 Celeb-synthesis/id1_id0_0000.mp4\n0 Celeb-synthesis/id0_id1_0001.mp4\n"
        )
    return root


def uadfv(parent, put=empty, *, clips=49, frames=0, inner="frames"):
    """UADFV, whole; with ``frames``, so many pictures a clip in place of clips."""
    root = parent / "UADFV"
    for n in range(clips):
        for label, name in enumerate((f"real/{n:04}", f"fake/{n:04}_fake")):
            folder, stem = name.split("/")
            if frames:
                for frame in range(frames):
                    _write(root / folder / inner / stem / f"{frame:03}.png", label, put)
            else:
                _write(root / folder / f"{stem}.mp4", label, put)
    return root


def faces_140k(parent, put=empty, *, each=4):
    """140k real and fake faces: reals by number, fakes by ten letters and digits."""
    root = parent / "real_vs_fake/real-vs-fake"
    number = 0
    for split in ("train", "valid", "test"):
        lines = [",original_path,id,label,label_str,path"]
        for _ in range(each):
            number += 1
            fake = f"{number:02}0A0IAK9X"
            _write(root / split / "real" / f"{number:05}.jpg", 0, put)
            _write(root / split / "fake" / f"{fake}.jpg", 1, put)
            lines.append(
                f"{number},/x/{number:05}.jpg,{number:05},1,real,{split}/real/{number:05}.jpg"
            )
            lines.append(f"{number},/x/{fake}.jpg,{fake},0,fake,{split}/fake/{fake}.jpg")
        (parent / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return root


def ciplab(parent, put=empty, *, twice=True):
    """CIPLAB; Kaggle's archive holds the set twice."""
    root = parent / "real_and_fake_face"
    copies = [root, parent / "real_and_fake_face_detection/real_and_fake_face"]
    for place in copies[: 1 + twice]:
        for n in range(1, 6):
            _write(place / "training_real" / f"real_{n:05}.jpg", 0, put)
        for name in ("easy_1_1110", "easy_2_0001", "mid_17_1111", "hard_3_0010", "hard_4_1000"):
            _write(place / "training_fake" / f"{name}.jpg", 1, put)
    return root


def openforensics(parent, put=empty, *, each=4):
    """OpenForensics crops: numbers begin anew in each split."""
    root = parent / "Dataset"
    for split in ("Train", "Validation", "Test"):
        for n in range(each):
            _write(root / split / "Real" / f"real_{n}.jpg", 0, put)
            _write(root / split / "Fake" / f"fake_{n}.jpg", 1, put)
    return root


def cnndetection(parent, put=empty):
    """CNNDetection's test set: some generators by class, some not."""
    root = parent / "CNN_synth_testset"
    for place in ("progan/cat", "progan/dog", "stylegan/car", "biggan", "deepfake"):
        for n in range(4):
            _write(root / place / "0_real" / f"{n:05}.png", 0, put)
            _write(root / place / "1_fake" / f"{n:05}.png", 1, put)
    return root


def fal(parent, put=empty):
    """FAL's validation set: one name, three folders."""
    root = parent / "data"
    for n in range(6):
        for folder in ("original", "modified", "reference"):
            _write(root / folder / f"{n:06}.png", int(folder == "modified"), put)
    return root


def plain(parent, put=empty, *, splits=("train", "val", "test"), each=4, suffix="jpg"):
    """real/ and fake/, in folders of splits or, with none, at the root."""
    root = parent / "mine"
    for split in splits or ("",):
        for label, name in enumerate(("real", "fake")):
            for n in range(each):
                _write(root / split / name / f"{n:03}.{suffix}", label, put)
    return root


BUILDERS = {
    "ffpp": ffpp, "dfdc": dfdc, "celeb_df": celeb_df, "uadfv": uadfv, "faces_140k": faces_140k,
    "ciplab": ciplab, "openforensics": openforensics, "cnndetection": cnndetection, "fal": fal,
    "plain": plain,
}  # fmt: skip


def litter(root):
    """What systems leave behind, in every folder; none of it belongs to a set."""
    for folder in [root, *(p for p in root.rglob("*") if p.is_dir())]:
        first = next((p for p in sorted(folder.iterdir()) if p.is_file()), None)
        for name in (".DS_Store", "Thumbs.db", f"._{first.name if first else 'x.mp4'}"):
            (folder / name).write_bytes(b"\0")
    (root / "__MACOSX/real").mkdir(parents=True)
    (root / "__MACOSX/real/._0000.mp4").touch()
