"""Forge all reals of a folder or data set: read them, find faces, make, write, list what is left.

A folder that was begun so is gone on with: what it holds is not made again.
"""

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
    # Told what is done, how much of it, and of how much.
    Watch = Callable[[str, int, int], None]

__all__ = ["ForgingOptions", "blend_folder", "edit_folder", "forge_folder"]

DONOR_LANDMARKS = "landmarks_of_donors.jsonl"


def unwatched(what: str, done: int, total: int) -> None:
    """Watches nothing."""


@dataclass(frozen=True, slots=True)
class ForgingOptions:
    """What all makers of forgeries share.

    Attributes:
        encoding: How pairs are saved.
        framing: What is cut out of pictures.
        seed: Of all that is drawn.
        per_picture: Forgeries of each real.
        validation: Share of a plain folder's pictures that goes to ``validation/``.
        landmarks: A file of landmarks; ``None`` has them found by MTCNN.
        sheet: Where to draw a contact sheet, too.
        jobs: Threads; 0 = one a core.
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
    watch: Watch = unwatched,
) -> ForgingSummary:
    """Blend the faces of real pictures into themselves, or with similar ones.

    Args:
        reals: A folder of real faces, a data set or its manifest.
        out: The folder to write; one that was begun so is gone on with.
        method: ``self``, ``xray`` (somebody similar), ``both``, ``warped`` or ``averaged``.
        strength: How far the two sides of a blend differ.
        options: What all makers share.
        watch: Told how far it is: what, how many are done, of how many.

    Raises:
        As :func:`forge_folder`; OptionError for another method.
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
    watch: Watch = unwatched,
) -> ForgingSummary:
    """Do to the faces of real pictures what people do in Photoshop.

    Args:
        reals: A folder of real faces, a data set or its manifest.
        out: The folder to write; one that was begun so is gone on with.
        recipe: Chances and ranges; the defaults where ``None``.
        donors: Real faces that parts are taken from; else other people of ``reals``, same split.
        options: What all makers share.
        watch: Told how far it is: what, how many are done, of how many.

    Raises:
        As :func:`forge_folder`.
    """
    chosen, drawn = options or ForgingOptions(), recipe or EditRecipe()
    givers = None if donors is None else read_reals(donors)
    marks: dict[str, Json] = {
        "maker": "edit",
        **_flat(drawn),
        "donors": None if donors is None else str(donors.resolve()),
    }

    def maker_for(found: Sequence[Real], known: Mapping[str, Landmarks]) -> Maker:
        if givers is None:
            return edit_maker(drawn, DonorBook(found, known, chosen.framing))
        kept = out / DONOR_LANDMARKS
        failed: dict[str, SourceError] = {}
        theirs = _found("finding donors' faces", givers, kept, chosen.jobs, watch, failed)
        for error in failed.values():
            logger.warning("donor left out: %s", error)
        return edit_maker(drawn, DonorBook(givers, theirs, chosen.framing, apart=True))

    return forge_folder(reals, out, maker_for, marks=marks, options=chosen, watch=watch)


def forge_folder(
    reals: Path,
    out: Path,
    maker_for: MakerFor,
    *,
    marks: Mapping[str, Json],
    options: ForgingOptions | None = None,
    watch: Watch = unwatched,
) -> ForgingSummary:
    """Forge real pictures by a maker, each with its untouched twin, mask and numbers.

    Args:
        reals: A folder of real faces, a data set or its manifest.
        out: The folder to write; one that was begun so is gone on with.
        maker_for: Makes the maker, once the reals and their landmarks are known.
        marks: The maker's name and own settings: they mark the folder.
        options: What all makers share.
        watch: Told how far it is: what, how many are done, of how many.

    Returns:
        What came of it; ``left_out.csv`` in the folder lists the reals without a forgery.

    Raises:
        DatasetError: No reals, or landmarks that cannot be read.
        OptionError: The folder was begun with other options, or holds something else.
        OutputError: It cannot be written.
    """
    chosen = options or ForgingOptions()
    if chosen.sheet is not None:
        refuse_suffix(chosen.sheet)
    found = read_reals(reals, validation=chosen.validation)
    own: dict[str, Json] = {
        **marks,
        "reals": str(reals.resolve()),
        "size": chosen.framing.size_px or "keep",
        "margin": chosen.framing.margin,
        "validation": chosen.validation,
        "landmarks": None if chosen.landmarks is None else str(chosen.landmarks.resolve()),
    }
    with ForgeryFolder(out, options=own, encoding=chosen.encoding, seed=chosen.seed) as folder:
        failed: dict[str, SourceError] = {}
        if chosen.landmarks is None:
            known = _found("finding faces", found, out / LANDMARKS, chosen.jobs, watch, failed)
        else:
            known = read_landmarks(chosen.landmarks, reals if reals.is_dir() else reals.parent)
        make = maker_for(found, known)
        done, total = len(folder), len(found) * chosen.per_picture
        watch("forging", done, total)

        def tried(_record: Mapping[str, Json] | None) -> None:
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
            watch=tried,
        )
        write_left_out(folder.root, summary)
        summary.held = len(folder)
    if chosen.sheet is not None and summary.held:
        write_sheet(chosen.sheet, out)
    return summary


def _found(
    what: str,
    reals: Sequence[Real],
    kept: Path,
    jobs: int,
    watch: Watch,
    failed: dict[str, SourceError],
) -> dict[str, Landmarks]:
    """Find landmarks, counting the pictures that were looked at."""
    done = 0

    def looked(count: int) -> None:
        nonlocal done
        done += count
        watch(what, done, len(reals))

    watch(what, done, len(reals))
    return landmarks_of(reals, kept=kept, jobs=jobs, watch=looked, failed=failed)


def _flat(recipe: EditRecipe) -> dict[str, Json]:
    """Each key with its section before it, so that a folder begun otherwise can name the one."""
    flat: dict[str, Json] = {}
    for key, value in json.loads(json.dumps(asdict(recipe))).items():
        if isinstance(value, dict):
            flat.update({f"{key}.{name}": one for name, one in value.items()})
        else:
            flat[key] = value
    return flat
