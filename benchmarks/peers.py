"""The peers' environment, the authors' weights, and our model made of them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from measure import ROOT, SHARED, console_script, say
from workers import HERE, Worker

OURS = Path(sys.executable)
VENV = ROOT / ".venv-peers"
REQUIREMENTS = HERE / "peers-requirements.txt"
WEIGHTS = SHARED / "weights/Meso4_DF.h5"


def interpreter(given: Path | None) -> Path:
    """The peers' Python: the one given, else that of ``.venv-peers``, made on first use."""
    if given is not None:
        if not given.exists():
            raise SystemExit(f"--peers {given}: no such interpreter")
        return given
    if sys.version_info < (3, 11):
        raise SystemExit("the peers need Python 3.11: name another with --peers PYTHON")
    python, stamp = VENV / "bin/python", VENV / ".installed"
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        say(f"Set-up: installing the peers into {VENV.name} (TensorFlow, about 2 GB on disk)")
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        subprocess.run(
            [python, "-m", "pip", "--disable-pip-version-check", "install", "-qq", "--no-input",
             "-r", REQUIREMENTS],
            check=True,
        )  # fmt: skip
        stamp.write_text(digest)
    return python


def weights(work: Path, peers: Path) -> tuple[Path, str]:
    """An ``.h5`` of Meso-4, and what it is: the authors', or random where theirs are absent."""
    if WEIGHTS.exists():
        return WEIGHTS, "authors' Meso4_DF.h5"
    say("../shared/weights is absent: random weights on both sides (the time is the same)")
    made = work / "random.h5"
    with Worker(peers, "theirs.py") as theirs:
        theirs.ask("start", weights=str(made), random=True)
    return made, "random weights"


def imported(work: Path, h5: Path) -> Path:
    """The same weights as a model file of ours, by ``mesoscope import-keras``."""
    model = work / "meso4_keras.onnx"
    subprocess.run(
        [console_script(), "import-keras", h5, "--arch", "meso4", "-o", model],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return model


def shipped() -> list[str]:
    """The names of our shipped models."""
    from mesoscope.models.file import shipped as found  # with the package, not before the options

    return list(found())


def default() -> str | None:
    """The name of the model that is used when none is asked for, where it stands."""
    from mesoscope.models import DEFAULT_MODEL

    return DEFAULT_MODEL if DEFAULT_MODEL in shipped() else None
