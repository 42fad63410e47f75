"""Check a report that one was handed: is it as it was made, and are the files still the same?"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from mesoscope.errors import SourceError, SourceMissing
from mesoscope.report.case.facts import ModelFacts, model_facts, settings_sha256
from mesoscope.report.case.items import hash_source
from mesoscope.report.case.keys import fingerprint
from mesoscope.report.case.record import opened
from mesoscope.report.case.seal import Seal, read_seal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mesoscope.types import Json

State = Literal["unchanged", "changed", "missing", "unknown"]
Signature = Literal["good", "other_key", "broken", "absent", "unsigned", "by_unknown"]


@dataclass(slots=True)
class Check:
    """What checking a report found.

    Attributes:
        seal: The report against its own digest and signature.
        signature: ``good``: by the key that was given. ``other_key``: whole, but by another key.
            ``by_unknown``: whole, and no key was given. ``broken``: it does not fit the report.
            ``absent``: a key was given, and there is no signature. ``unsigned``: neither.
        files: How many source files are in which state; ``unknown`` where the report holds no hash.
        models: State of each model by its id; ``missing`` where its file is not at hand.
        settings_match: The hash of the settings is that of the settings; ``None`` without any.
        made: When the report says it was made.
        version: Of the mesoscope that made it.
    """

    seal: Seal
    signature: Signature
    files: Counter[State] = field(default_factory=Counter)
    models: dict[str, State] = field(default_factory=dict)
    settings_match: bool | None = None
    made: str = ""
    version: str = ""

    @property
    def trusted(self) -> bool:
        """The report itself is as it was made, as far as this check can tell."""
        seal_holds = self.seal.intact and self.settings_match is not False
        return seal_holds and self.signature in ("good", "unsigned", "by_unknown")


def verify(
    path: Path,
    *,
    key: bytes | None = None,
    root: Path | None = None,
    model: Path | None = None,
    files: bool = True,
    watch: Callable[[str, State], None] | None = None,
) -> Check:
    """Check a report, HTML or PDF.

    Args:
        path: The report.
        key: The public key that it should be signed with, 32 bytes.
        root: Folder that relative paths of source files start at; the current one by default.
        model: A model file to hold against the report's, besides those that are shipped.
        files: Look for the source files, too.
        watch: Called with each source file and its state.

    Raises:
        ReportError: Not a report.
    """
    seal = read_seal(path)
    found = Check(seal, _signature(seal, key))
    with opened(path) as (first, items):
        found.made, found.version = str(first["made"]), str(first["mesoscope"])
        found.settings_match = _settings_match(first)
        found.models = _models(first, model)
        for one in items if files else ():
            state = _state(one.source, one.sha256, root)
            found.files[state] += 1
            if watch is not None:
                watch(one.source, state)
    return found


def _signature(seal: Seal, key: bytes | None) -> Signature:
    if not seal.signed:
        return "unsigned" if key is None else "absent"
    if not (seal.signature_holds and seal.intact):
        return "broken"
    if key is None:
        return "by_unknown"
    return "good" if seal.key_fingerprint == fingerprint(key) else "other_key"


def _settings_match(first: Mapping[str, Json]) -> bool | None:
    settings = first["settings"]
    if not isinstance(settings, dict):
        return None
    return settings_sha256(settings) == first["settings_sha256"]


def _models(first: Mapping[str, Json], at_hand: Path | None) -> dict[str, State]:
    """Which of a report's models are at hand, byte for byte."""
    models = [model for model in cast("list[Json]", first["models"]) if isinstance(model, dict)]
    here = {one.id: one for one in model_facts((str(m["id"]) for m in models), at_hand=at_hand)}
    return {str(m["id"]): _model_state(str(m["sha256"]), here[str(m["id"])]) for m in models}


def _model_state(sha256: str, here: ModelFacts) -> State:
    if not sha256:
        return "unknown"
    if not here.sha256:
        return "missing"
    return "unchanged" if here.sha256 == sha256 else "changed"


def _state(source: str, sha256: str | None, root: Path | None) -> State:
    if sha256 is None:
        return "unknown"
    path = source if root is None else os.path.join(root, source)  # noqa: PTH118 - names in bytes
    try:
        return "unchanged" if hash_source(path).sha256 == sha256 else "changed"
    except SourceMissing:
        return "missing"
    except SourceError:
        return "unknown"
