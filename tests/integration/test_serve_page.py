"""The page of the service: its files, and what it does in a real browser."""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import mesoscope

STATIC = Path(mesoscope.__file__).parent / "server/static"


@pytest.fixture
def address(tmp_path):
    """A running service."""
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    process = subprocess.Popen(
        [sys.executable, "-m", "mesoscope", "serve", "--port", "0", "--data", tmp_path / "data"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                yield found[0]
                break
        else:
            pytest.fail("the service did not start")
    finally:
        process.terminate()
        process.communicate(timeout=60)


def get(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.headers, answer.read()


def test_the_page_is_small_whole_and_asks_nobody_else(address):
    headers, body = get(f"{address}/")
    assert headers["content-type"].startswith("text/html")
    assert headers["content-security-policy"].startswith("default-src 'none'")
    size = len(body)
    for name, kind in (
        ("page.js", "javascript"), ("words.js", "javascript"), ("page.css", "text/css"),
    ):  # fmt: skip
        headers, data = get(f"{address}/{name}")
        assert kind in headers["content-type"]
        assert data == (STATIC / name).read_bytes()
        assert b"://" not in data
        size += len(data)
    assert size < 200_000
    assert b"style=" not in body  # its policy forbids styles within


def test_in_a_browser_it_starts_under_its_own_policy_and_names_the_model(address, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine: the page is not tried in a browser")
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000",
         "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}",
         "--dump-dom", f"{address}/"],
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    model = json.loads(get(f"{address}/v1/model")[1])
    assert f"Model {model['id']}" in done.stdout, done.stderr[-2000:]
    assert "No picture is kept." in done.stdout


def test_every_word_of_a_label_and_a_reason_comes_from_the_service(address):
    from mesoscope.types.label import ANSWERS, CLAUSES, REASONS, as_sentence

    headers, body = get(f"{address}/labels.js")
    assert "javascript" in headers["content-type"]
    told, reasons = (
        json.loads(line.partition(" = ")[2].removesuffix(";"))
        for line in body.decode().splitlines()
    )
    assert set(told) == set(ANSWERS)
    assert reasons == {reason: as_sentence(CLAUSES[reason]) for reason in REASONS}
    assert "./labels.js" in (STATIC / "words.js").read_text("utf-8")
