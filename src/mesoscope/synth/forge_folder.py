"""Forging of all reals of a folder or data set, into a resumable folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from mesoscope.runtime.log import logger
from mesoscope.synth.blending import blend_maker
from mesoscope.synth.edits.maker import DonorBook, edit_maker
from mesoscope.synth.edits.recipe import EditRecipe
from mesoscope.synth.folder import LANDMARKS, ForgeryFolder
from mesoscope.synth.forgery import Encoding
from mesoscope.synth.landmarks import landmarks_of, read_landmarks
from mesoscope.synth.reals import VALIDATION_SHARE, Framing, read_reals
from mesoscope.synth.sheet import refuse_suffix, write_sheet
from mesoscope.synth.writing import write_forgeries, write_left_out

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mesoscope.errors import SourceError
    from mesoscope.synth.forgery import Landmarks
    from mesoscope.synth.reals import Real
    from mesoscope.synth.writing import ForgingSummary, Maker
    from mesoscope.types import Json

    MakerFor = Callable[[Sequence[Real], Mapping[str, Landmarks]], Maker]
    Watch = Callable[[str, int, int], None]  # name of the step, number done, total

__all__ = ["ForgingOptions", "blend_folder", "edit_folder", "forge_folder"]

DONOR_LANDMARKS = "landmarks_of_donors.jsonl"


def no_progress(what: str, done: int, total: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True, slots=True)
class ForgingOptions:
    """Options shared by all makers of forgeries.

    Attributes:
        encoding: Encoding of pairs.
        framing: Crop of the pictures.
        seed: Seed of all random numbers.
        per_picture: Number of forgeries per real.
        validation: Share of a plain folder's pictures in the validation split.
        landmarks: File of landmarks; ``None`` detects them with MTCNN.
        sheet: File of a contact sheet; ``None`` draws none.
        jobs: Number of threads; 0 = one per core.
    """

    encoding: Encoding = field(default_factory=Encoding)
    framing: Framing = field(default_factory=Framing)
    seed: int = 0
    per_picture: int = 1
    validation: float = VALIDATION_SHARE
    landmarks: Path | None = None
    sheet: Path | None = None
    jobs: int = 0


def blend_folder(
    reals: Path,
    out: Path,
    *,
    method: str = "self",
    strength: float = 1.0,
    options: ForgingOptions | None = None,
    watch: Watch = no_progress,
) -> ForgingSummary:
    """Blend faces of real pictures with themselves, or with similar faces.

    Args:
        reals: A folder of real faces, a data set or its manifest.
        out: The output folder; an existing one with the same options is continued.
        method: ``self``, ``xray`` (a similar donor), ``both``, ``warped`` or ``averaged``.
        strength: Strength of the augmentation.
        options: Shared options.
        watch: Called with the name of the step, the number done and the total.

    Raises:
        OptionError: The method is unknown; else as for :func:`forge_folder`.
    """
    chosen = options or ForgingOptions()
    marks: dict[str, Json] = {"maker": "blend", "method": method, "strength": strength}

    def maker_for(found: Sequence[Real], known: Mapping[str, Landmarks]) -> Maker:
        return blend_maker(found, known, framing=chosen.framing, method=method, strength=strength)

    return forge_folder(reals, out, maker_for, marks=marks, options=chosen, watch=watch)


def edit_folder(
    reals: Path,
    out: Path,
    *,
    recipe: EditRecipe | None = None,
    donors: Path | None = None,
    options: ForgingOptions | None = None,
    watch: Watch = no_progress,
) -> ForgingSummary:
    """Edit faces of real pictures, as is done in Photoshop.

    Args:
        reals: A folder of real faces, a data set or its manifest.
        out: The output folder; an existing one with the same options is continued.
        recipe: Probabilities and ranges of the edits; ``None`` for the defaults.
        donors: Real faces that parts are taken from; by default other people of ``reals`` in the
            same split.
        options: Shared options.
        watch: Called with the name of the step, the number done and the total.

    Raises:
        MesoscopeError: As for :func:`forge_folder`.
    """
    chosen, edits = options or ForgingOptions(), recipe or EditRecipe()
    donor_reals = None if donors is None else read_reals(donors)
    marks: dict[str, Json] = {
        "maker": "edit",
        **_flat(edits),
        "donors": None if donors is None else str(donors.resolve()),
    }

    def maker_for(found: Sequence[Real], known: Mapping[str, Landmarks]) -> Maker:
        if donor_reals is None:
            return edit_maker(edits, DonorBook(found, known, chosen.framing))
        cache = out / DONOR_LANDMARKS
        failed: dict[str, SourceError] = {}
        points = _landmarks("finding donors' faces", donor_reals, cache, chosen.jobs, watch, failed)
        for error in failed.values():
            logger.warning("donor left out: %s", error)
        return edit_maker(edits, DonorBook(donor_reals, points, chosen.framing, separate=True))

    return forge_folder(reals, out, maker_for, marks=marks, options=chosen, watch=watch)


def forge_folder(
    reals: Path,
    out: Path,
    maker_for: MakerFor,
    *,
    marks: Mapping[str, Json],
    options: ForgingOptions | None = None,
    watch: Watch = no_progress,
) -> ForgingSummary:
    """Forge real pictures with a maker, each with its twin, mask and parameters.

    Args:
        reals: A folder of real faces, a data set or its manifest.
        out: The output folder; an existing one with the same options is continued.
        maker_for: Function of the reals and their landmarks that returns the maker.
        marks: Name and settings of the maker, part of the folder's options.
        options: Shared options.
        watch: Called with the name of the step, the number done and the total.

    Returns:
        The counts; ``left_out.csv`` in the folder lists the reals without a forgery.

    Raises:
        DatasetError: There are no reals, or landmarks cannot be read.
        OptionError: The folder has other options, or other content.
        OutputError: The folder cannot be written.
    """
    chosen = options or ForgingOptions()
    if chosen.sheet is not None:
        refuse_suffix(chosen.sheet)
    found = read_reals(reals, validation=chosen.validation)
    settings: dict[str, Json] = {
        **marks,
        "reals": str(reals.resolve()),
        "size": chosen.framing.size_px or "keep",
        "margin": chosen.framing.margin,
        "validation": chosen.validation,
        "landmarks": None if chosen.landmarks is None else str(chosen.landmarks.resolve()),
    }
    with ForgeryFolder(out, options=settings, encoding=chosen.encoding, seed=chosen.seed) as folder:
        failed: dict[str, SourceError] = {}
        if chosen.landmarks is None:
            known = _landmarks("finding faces", found, out / LANDMARKS, chosen.jobs, watch, failed)
        else:
            known = read_landmarks(chosen.landmarks, reals if reals.is_dir() else reals.parent)
        make = maker_for(found, known)
        done, total = len(folder), len(found) * chosen.per_picture
        watch("forging", done, total)

        def count(_record: Mapping[str, Json] | None) -> None:
            nonlocal done
            done += 1
            watch("forging", done, total)

        summary = write_forgeries(
            folder,
            found,
            make,
            framing=chosen.framing,
            landmarks=known,
            failed=failed,
            per_picture=chosen.per_picture,
            jobs=chosen.jobs,
            watch=count,
        )
        write_left_out(folder.root, summary)
        summary.total = len(folder)
    if chosen.sheet is not None and summary.total:
        write_sheet(chosen.sheet, out)
    return summary


def _landmarks(
    what: str,
    reals: Sequence[Real],
    cache: Path,
    jobs: int,
    watch: Watch,
    failed: dict[str, SourceError],
) -> dict[str, Landmarks]:
    """Find landmarks and report progress."""
    done = 0

    def count(pictures: int) -> None:
        nonlocal done
        done += pictures
        watch(what, done, len(reals))

    watch(what, done, len(reals))
    return landmarks_of(reals, cache=cache, jobs=jobs, watch=count, failed=failed)


def _flat(recipe: EditRecipe) -> dict[str, Json]:
    """Flatten a recipe to dotted keys, so that a message can name a single changed key."""
    flat: dict[str, Json] = {}
    for key, value in json.loads(json.dumps(asdict(recipe))).items():
        if isinstance(value, dict):
            flat.update({f"{key}.{name}": one for name, one in value.items()})
        else:
            flat[key] = value
    return flat
