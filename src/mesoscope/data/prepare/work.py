"""One item → faces in the data set: frames sampled, faces found, chosen, cut out and written."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mesoscope.data.prepare.answer import Answer, LeftOut, Written
from mesoscope.data.prepare.choice import Candidate, choose, shrunk
from mesoscope.detection.persons import scene_of
from mesoscope.errors import MesoscopeError, OutputError
from mesoscope.errors.failures import failure
from mesoscope.faces.crop import crop
from mesoscope.files.whole import beside
from mesoscope.imaging.encode import jpeg, png
from mesoscope.media.image import open_image
from mesoscope.media.video import open_clip
from mesoscope.types.label import CLASSES
from mesoscope.types.verdict import longest_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mesoscope.data.layouts.item import Item
    from mesoscope.data.prepare.options import PrepareOptions
    from mesoscope.faces.finder import FaceFinder
    from mesoscope.types import Found, Frame, Pixels

CHUNK = 8  # pictures or frames that a finder gets at once, to fill its batches
GROUP_PIXELS = 16_000_000  # of frames in memory at once by a thread; a larger frame is alone
UNFINISHED = "unfinished"  # folder for files that are being written
_MOST_FACES = 6  # of a frame, the largest, unless all are kept: memory stays flat in crowds


@dataclass(frozen=True, slots=True)
class Job:
    """An item, where it goes, and the mask that tells its face.

    Attributes:
        item: To prepare.
        split: Where its faces go.
        mask: Of the forged region: the item's, or of a forgery made from it.
        other: Of a forged clip its original, of a real one a forgery made from it, if there is one.
    """

    item: Item
    split: str
    mask: Path | None
    other: Path | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """One frame of an item, still with its pixels.

    Attributes:
        job: Whose.
        place: Its place among the frames looked at, from 0.
        share: Of the clip's length at which it begins.
        path: The file that it comes from.
        frame: The frame.
    """

    job: Job
    place: int
    share: float
    path: Path
    frame: Frame


@dataclass(slots=True)
class Gathered:
    """What is known of an item on its way."""

    job: Job
    stamp: str
    paths: dict[int, Path] = field(default_factory=dict)  # of frames looked at, by place
    times: dict[int, float | None] = field(default_factory=dict)  # likewise
    candidates: list[Candidate] = field(default_factory=list)
    small: set[int] = field(default_factory=set)  # places with faces, all of them too small
    left_out: list[LeftOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Workshop:
    """Prepares items; one object is shared by all threads.

    Args:
        root: The set's, to which paths are told.
        out: The data set's folder.
        options: As chosen.
        finder: Looks for faces.
    """

    def __init__(self, root: Path, out: Path, options: PrepareOptions, finder: FaceFinder) -> None:
        self._root, self._out, self._options, self._finder = root, out, options, finder

    def prepare(self, jobs: Sequence[Job]) -> list[Answer]:
        """Prepare a few pictures, or one clip or folder of frames.

        Frames of several items are found in together. What cannot be read becomes a line of the
        answer.

        Raises:
            OutputError: A file cannot be written.
        """
        gathered = {job.item.name: Gathered(job, stamp_of(job.item)) for job in jobs}
        for group in _groups(look for of in gathered.values() for look in self._looks(of)):
            for look, found in self._found(group, gathered):
                self._gather(gathered[look.job.item.name], look, found)
        return [self._finish(one) for one in gathered.values()]

    def _found(
        self, group: Sequence[Look], gathered: Mapping[str, Gathered]
    ) -> list[tuple[Look, Found]]:
        """The finder's answers; a frame that it fails at is left out, and no other."""
        try:
            answers = self._finder.find([look.frame for look in group])
            return list(zip(group, answers, strict=True))
        except Exception as error:  # noqa: BLE001
            if len(group) > 1:
                return [pair for look in group for pair in self._found([look], gathered)]
            (look,) = group
            left_out = self._unreadable(look.path, failure(str(look.path), error))
            gathered[look.job.item.name].left_out.append(left_out)
            return []

    def _looks(self, of: Gathered) -> Iterator[Look]:
        """An item's frames; what cannot be read is noted."""
        item, options = of.job.item, self._options
        if item.is_clip:
            path = item.paths[0]
            try:
                with open_clip(path, frames=options.frames, max_pixels=options.max_pixels) as clip:
                    length_s = max(clip.duration_s, 1e-9)
                    for place, frame in enumerate(clip.frames()):
                        yield Look(of.job, place, (frame.time_s or 0) / length_s, path, frame)
                    of.notes += (f"clip read with a remark: {note}" for note in clip.notes)
            except Exception as error:  # noqa: BLE001 - one file never ends the work
                of.left_out.append(self._unreadable(path, failure(str(path), error)))
            return
        count = len(item.paths)
        for place, number in enumerate(spread(count, options.frames)):
            path = item.paths[number]
            try:
                frame = open_image(path, max_pixels=options.max_pixels)
            except Exception as error:  # noqa: BLE001
                of.left_out.append(self._unreadable(path, failure(str(path), error)))
                continue
            yield Look(of.job, place, (number + 0.5) / count, path, _numbered(frame, number))

    def _unreadable(self, path: Path, error: MesoscopeError) -> LeftOut:
        detail = str(error).removeprefix(f"{path}: ")  # no machine's paths in the data set
        return LeftOut(self._told(path), "unreadable", None, f"{error.code}: {detail}")

    def _gather(self, of: Gathered, look: Look, found: Found) -> None:
        """Keep the faces of a frame as crops, and let its pixels go."""
        options, frame = self._options, look.frame
        of.paths[look.place], of.times[look.place] = look.path, frame.time_s
        faces = [face for face in found.faces if longest_side(face.box) >= options.min_face_px]
        if found.faces and not faces:
            of.small.add(look.place)
        if not options.all_faces:
            faces = faces[:_MOST_FACES]
        height, width = frame.pixels.shape[:2]
        scene = scene_of(frame.pixels)
        compared = len(faces) > 1 and look.job.other is not None and look.job.mask is None
        small = shrunk(frame.pixels) if compared else None
        for face in faces:
            margin = 1.0 if found.whole else options.margin
            cut = crop(frame.pixels, face.box, margin=margin, size_px=options.size_px)
            of.candidates.append(
                Candidate(
                    look.place, look.share, frame.index, frame.time_s, face, width, height, scene,
                    found.finder, cut, small,
                )
            )  # fmt: skip

    def _finish(self, of: Gathered) -> Answer:
        """Choose, write, and say what became of the rest."""
        job, item = of.job, of.job.item
        choice = choose(
            of.candidates,
            fake=item.label == 1,
            mask=job.mask,
            other=job.other,
            all_faces=self._options.all_faces,
        )
        numbers: dict[int, int] = {}  # faces kept of each frame so far
        written = []
        for candidate in choice.kept:
            number = numbers.get(candidate.place, 0)
            numbers[candidate.place] = number + 1
            written.append(self._write(of, candidate, number))
        with_faces = {candidate.place for candidate in of.candidates}
        left_out = list(of.left_out)
        for place in sorted(of.paths):
            if place not in numbers:
                reason = "small_face" if place in of.small else "no_face"
                if place in with_faces:
                    reason = "untouched" if choice.untouched else "other_person"
                left_out.append(LeftOut(self._told(of.paths[place]), reason, of.times[place]))
        return Answer(
            item.name, item.label, item.method, item.group, job.split, of.stamp,
            tuple(written), tuple(left_out), (*of.notes, *choice.notes),
        )  # fmt: skip

    def _write(self, of: Gathered, candidate: Candidate, number: int) -> Written:
        job, options = of.job, self._options
        data = encode(candidate.crop, options)
        path = place_of(job, candidate.place, number, options)
        _put(data, self._out / UNFINISHED, self._out / path)
        frames = job.item.is_clip or len(job.item.paths) > 1
        return Written(
            path=path,
            parent=self._told(of.paths[candidate.place]),
            frame=candidate.index if frames else None,
            time_s=candidate.time_s,
            box=candidate.face.box,
            confidence=candidate.face.confidence,
            finder=candidate.finder,
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
        )

    def _told(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def place_of(job: Job, place: int, number: int, options: PrepareOptions) -> str:
    """Where a face goes: ``split/class/digest-of-the-name[-frame][-face].png``.

    A digest tells neither method nor person nor set, so a list sorted by name is in no order that a
    model could learn; and names of different sub-folders never meet.
    """
    item = job.item
    name = name_of(item.name)
    if item.is_clip or len(item.paths) > 1:
        name += f"-{place:03}"
    if options.all_faces:
        name += f"-{number}"
    return f"{job.split}/{CLASSES[item.label]}/{name}.{options.format}"


def name_of(item_name: str) -> str:
    """16 digits for an item's name."""
    return hashlib.sha256(item_name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def spread(count: int, frames: int) -> list[int]:
    """Numbers of the frames looked at in a folder of so many: the middles of equal parts."""
    if count <= frames:
        return list(range(count))
    return [int((n + 0.5) * count / frames) for n in range(frames)]


def stamp_of(item: Item) -> str:
    """What tells whether an item's files have changed: how many, their sizes, the latest time."""
    size_bytes = latest_ns = 0
    for path in item.paths:  # any frame of a folder may be the one that is put right
        try:
            found = path.stat()
        except OSError:
            continue
        size_bytes += found.st_size
        latest_ns = max(latest_ns, found.st_mtime_ns)
    return f"{len(item.paths)} {size_bytes} {latest_ns}"


def encode(pixels: Pixels, options: PrepareOptions) -> bytes:
    """A crop as the bytes of a file: alike for both classes, whatever it was cut from.

    Args:
        pixels: ``(S, S, 3) uint8`` RGB.
        options: Format and quality.
    """
    if options.format == "png":
        return png(pixels)  # four times as quick as zlib at 6, and 4 % larger
    return jpeg(pixels, options.jpeg_quality, full_chroma=True)


def _put(data: bytes, unfinished: Path, path: Path) -> None:
    """Write a file in one move: under a name of its own, then renamed to its place."""
    try:
        with beside(path, folder=unfinished, sync=False) as part:
            part.write_bytes(data)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror}: the same command goes on later"
        ) from error


def _groups(looks: Iterable[Look]) -> Iterator[list[Look]]:
    group: list[Look] = []
    pixels = 0
    for look in looks:
        size = look.frame.pixels.size // 3
        if group and (len(group) == CHUNK or pixels + size > GROUP_PIXELS):
            yield group
            group, pixels = [], 0
        group.append(look)
        pixels += size
    if group:
        yield group


def _numbered(frame: Frame, number: int) -> Frame:
    return type(frame)(frame.pixels, frame.source, number)
