"""Extract the faces of an item: sample frames, find, choose, crop and write faces."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mesoscope.data.prepare.choice import Candidate, Choice, choose, shrunk
from mesoscope.data.prepare.ledger import ItemResult, LeftOut, WrittenFace
from mesoscope.detection.persons import scene_of
from mesoscope.detection.reading import read_frames
from mesoscope.detection.stages import CropRules, crop_faces, find_faces, retry_singly
from mesoscope.errors import MesoscopeError
from mesoscope.errors.failures import failure
from mesoscope.files.atomic import output_path
from mesoscope.imaging.encode import jpeg, png
from mesoscope.media.image import open_image
from mesoscope.media.video import open_clip
from mesoscope.types.label import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mesoscope.data.layouts.item import Item
    from mesoscope.data.prepare.plan import PrepareOptions
    from mesoscope.detection.reading import Opener, SourceFrame
    from mesoscope.detection.stages import FrameFaces
    from mesoscope.faces.finder import FaceFinder
    from mesoscope.media.image import Source
    from mesoscope.media.video import Clip
    from mesoscope.types import Frame, Pixels

UNFINISHED = "unfinished"  # folder of partial files
_MOST_FACES = 6  # of a frame, the largest, unless all are kept: bounds memory in crowds


@dataclass(frozen=True, slots=True)
class ItemJob:
    """An item, its split, and the mask that identifies its face.

    Attributes:
        item: Item to prepare.
        split: Split of its faces.
        mask: Mask of the forged region: the item's, or of a forgery made from it.
        other: Original of a forged clip, or a forgery made from a real one, if any.
    """

    item: Item
    split: str
    mask: Path | None
    other: Path | None = None


@dataclass(frozen=True, slots=True)
class SampledFile:
    """A file that is read for an item.

    Attributes:
        job: The item's job.
        path: The item's clip or picture, or one of a folder of frames.
        place: Its index among the item's files that are read, from 0.
        number: Its number in a folder of frames, from 0.
        share: Its relative position in the folder; frames of a clip have their own.
    """

    job: ItemJob
    path: Path
    place: int = 0
    number: int = 0
    share: float = 0.5


@dataclass(frozen=True, slots=True)
class CutFrame:
    """A frame after finding and cropping; its pixels are released.

    Attributes:
        place: Its index among the item's frames, from 0.
        path: File it comes from.
        time_s: Its time; ``None`` except for clips.
        only_small: Whether it shows faces, all of them too small.
        candidates: Its cropped faces.
    """

    place: int
    path: Path
    time_s: float | None
    only_small: bool
    candidates: tuple[Candidate, ...]


class FaceExtractor:
    """Prepares items; one object is shared by all threads.

    Args:
        root: Root of the set; recorded paths are relative to it.
        out: Folder of the data set.
        options: The options.
        finder: The face finder.
    """

    def __init__(self, root: Path, out: Path, options: PrepareOptions, finder: FaceFinder) -> None:
        self._root, self._out, self._options, self._finder = root, out, options, finder
        self._rules = CropRules((options.margin,), size_px=options.size_px)

    def prepare(self, jobs: Sequence[ItemJob]) -> list[ItemResult]:
        """Prepare a few pictures, or one clip or folder of frames.

        Frames of several items share a finder batch. Unreadable parts become entries of the result.

        Raises:
            OutputError: A file is not writable.
        """
        stamps = {job.item.name: stamp_of(job.item) for job in jobs}
        files = [file for job in jobs for file in self._files(job)]
        frames: defaultdict[str, list[CutFrame]] = defaultdict(list)  # by the item's name
        left_out: defaultdict[str, list[LeftOut]] = defaultdict(list)
        notes: defaultdict[str, list[str]] = defaultdict(list)
        seen: Counter[int] = Counter()  # frames so far of each file
        for batch in read_frames([file.path for file in files], self._opener(jobs)):
            for end in batch.ended:
                file = files[end.source.place]
                name = file.job.item.name
                notes[name] += (f"clip read with a remark: {note}" for note in end.notes)
                if end.error is not None:
                    left_out[name].append(self._unreadable(file.path, end.error))
            faces = retry_singly(self._find, batch.frames)
            for one, its in zip(batch.frames, faces, strict=True):
                file = files[one.source.place]
                place = file.place + seen[one.source.place]
                seen[one.source.place] += 1
                if isinstance(its, MesoscopeError):
                    left_out[file.job.item.name].append(self._unreadable(file.path, its))
                    continue
                try:
                    frames[file.job.item.name].append(self._cut(file, place, one, its))
                except Exception as error:  # noqa: BLE001 - one frame does not end the run
                    left_out[file.job.item.name].append(self._unreadable(file.path, error))
        return [
            self._finish(
                job, stamps[job.item.name], frames[job.item.name],
                left_out[job.item.name], notes[job.item.name],
            )
            for job in jobs
        ]  # fmt: skip

    def _files(self, job: ItemJob) -> Iterator[SampledFile]:
        paths = job.item.paths
        if job.item.is_clip:
            yield SampledFile(job, paths[0])
            return
        for place, number in enumerate(spread(len(paths), self._options.frames)):
            share = (number + 0.5) / len(paths)
            yield SampledFile(job, paths[number], place, number, share)

    def _opener(self, jobs: Sequence[ItemJob]) -> Opener:
        clips = {job.item.paths[0] for job in jobs if job.item.is_clip}
        frames, max_pixels = self._options.frames, self._options.max_pixels

        def opener(source: Source) -> Frame | Clip:
            if isinstance(source, os.PathLike) and source in clips:
                return open_clip(source, frames=frames, max_pixels=max_pixels)
            return open_image(source, max_pixels=max_pixels)

        return opener

    def _find(self, frames: Sequence[SourceFrame]) -> list[FrameFaces]:
        return find_faces(
            [one.frame for one in frames], self._finder, min_face_px=self._options.min_face_px
        )

    def _unreadable(self, path: Path, error: Exception) -> LeftOut:
        said = failure(str(path), error)
        detail = str(said).removeprefix(f"{path}: ")  # no local paths in the data set
        return LeftOut(self._relative(path), "unreadable", None, f"{said.code}: {detail}")

    def _cut(self, file: SampledFile, place: int, read: SourceFrame, faces: FrameFaces) -> CutFrame:
        """Crop the faces of a frame."""
        frame, length_s = read.frame, read.source.duration_s
        index, share = file.number, file.share
        if length_s is not None:
            index, share = frame.index, (frame.time_s or 0) / max(length_s, 1e-9)
        if not self._options.all_faces:
            faces = replace(faces, large=faces.large[:_MOST_FACES])
        height, width = frame.pixels.shape[:2]
        scene = scene_of(frame.pixels)
        compared = len(faces.large) > 1 and file.job.other is not None and file.job.mask is None
        small = shrunk(frame.pixels) if compared else None
        crops = crop_faces([frame], [faces], self._rules)
        candidates = tuple(
            Candidate(
                place, share, index, frame.time_s, face, width, height, scene,
                faces.found.finder, cut, small,
            )
            for face, (cut,) in zip(faces.large, crops, strict=True)
        )  # fmt: skip
        only_small = bool(faces.skipped) and not faces.large
        return CutFrame(place, file.path, frame.time_s, only_small, candidates)

    def _finish(
        self,
        job: ItemJob,
        stamp: str,
        frames: Sequence[CutFrame],
        left_out: Sequence[LeftOut],
        notes: Sequence[str],
    ) -> ItemResult:
        """Choose and write the faces, and record why the rest was left out."""
        item = job.item
        failed = list(left_out)
        try:
            choice = choose(
                [candidate for frame in frames for candidate in frame.candidates],
                fake=item.label == 1,
                mask=job.mask,
                other=job.other,
                all_faces=self._options.all_faces,
            )
        except Exception as error:  # noqa: BLE001 - one item does not end the run
            failed.append(self._unreadable(item.paths[0], error))
            frames, choice = (), Choice(())
        paths = {frame.place: frame.path for frame in frames}
        numbers: Counter[int] = Counter()  # faces kept of each frame so far
        written = []
        for candidate in choice.kept:
            path, number = paths[candidate.place], numbers[candidate.place]
            numbers[candidate.place] += 1
            try:
                data = encode(candidate.crop, self._options)
            except Exception as error:  # noqa: BLE001
                failed.append(self._unreadable(path, error))
                continue
            written.append(self._write(job, path, candidate, number, data))
        without = []
        for frame in sorted(frames, key=lambda frame: frame.place):
            if frame.place not in numbers:
                reason = "small_face" if frame.only_small else "no_face"
                if frame.candidates:
                    reason = "untouched" if choice.untouched else "other_person"
                without.append(LeftOut(self._relative(frame.path), reason, frame.time_s))
        return ItemResult(
            item.name, item.label, item.method, item.group, job.split, stamp,
            tuple(written), (*failed, *without), (*notes, *choice.notes),
        )  # fmt: skip

    def _write(
        self, job: ItemJob, source: Path, candidate: Candidate, number: int, data: bytes
    ) -> WrittenFace:
        options = self._options
        path = place_of(job, candidate.place, number, options)
        _put(data, self._out / UNFINISHED, self._out / path)
        frames = job.item.is_clip or len(job.item.paths) > 1
        return WrittenFace(
            path=path,
            parent=self._relative(source),
            frame=candidate.index if frames else None,
            time_s=candidate.time_s,
            box=candidate.face.box,
            confidence=candidate.face.confidence,
            finder=candidate.finder,
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
        )

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def place_of(job: ItemJob, place: int, number: int, options: PrepareOptions) -> str:
    """Return the path of a face: ``split/class/digest-of-the-name[-frame][-face].png``.

    A digest reveals neither method nor person nor set, so sorted names have no order that a model
    could learn; and names of different sub-folders never collide.
    """
    item = job.item
    name = name_of(item.name)
    if item.is_clip or len(item.paths) > 1:
        name += f"-{place:03}"
    if options.all_faces:
        name += f"-{number}"
    return f"{job.split}/{CLASSES[item.label]}/{name}.{options.format}"


def name_of(item_name: str) -> str:
    """Return 16 digits for an item's name."""
    return hashlib.sha256(item_name.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def spread(count: int, frames: int) -> list[int]:
    """Return the numbers of the sampled frames of a folder: the middles of equal parts."""
    if count <= frames:
        return list(range(count))
    return [int((n + 0.5) * count / frames) for n in range(frames)]


def stamp_of(item: Item) -> str:
    """Return a fingerprint of an item's files: their number, sizes and latest time."""
    size_bytes = latest_ns = 0
    for path in item.paths:  # any frame of a folder may have been replaced
        try:
            found = path.stat()
        except OSError:
            continue
        size_bytes += found.st_size
        latest_ns = max(latest_ns, found.st_mtime_ns)
    return f"{len(item.paths)} {size_bytes} {latest_ns}"


def encode(pixels: Pixels, options: PrepareOptions) -> bytes:
    """Encode a crop, the same for both classes, whatever its source.

    Args:
        pixels: ``(S, S, 3) uint8`` RGB.
        options: Format and quality.
    """
    if options.format == "png":
        return png(pixels)  # four times as fast as zlib at 6, and 4 % larger
    return jpeg(pixels, options.jpeg_quality, full_chroma=True)


def _put(data: bytes, unfinished: Path, path: Path) -> None:
    """Write a file atomically: under a temporary name, then renamed."""
    hint = "the same command goes on later"
    with output_path(path, folder=unfinished, sync=False, hint=hint, parents=False) as part:
        part.write_bytes(data)
