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
NAMESPACE = b"http://www.w3.org/2000/svg"  # a name, and no address


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
    assert b"style=" not in body  # its policy forbids styles within
    assert b"<script>" not in body
    kinds = {".js": "javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg",
             ".jpg": "image/jpeg"}  # fmt: skip
    size = 0
    for path in (path for path in STATIC.rglob("*") if path.is_file()):
        headers, data = get(f"{address}/{path.relative_to(STATIC).as_posix()}")
        assert kinds[path.suffix] in headers["content-type"]
        assert data == path.read_bytes()
        if path.suffix != ".jpg":
            assert b"://" not in data.replace(NAMESPACE, b""), path
        size += len(data)
    assert size < 200_000


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
    assert "(--keep 0)" in done.stdout


def test_every_text_stands_in_words():
    page = (STATIC / "index.html").read_text("utf-8")
    page = re.sub(r"<noscript>.*?</noscript>|<head>.*?</head>", "", page, flags=re.DOTALL)
    assert set(re.sub(r"<[^>]*>", " ", page).split()) == {"mesoscope"}


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_reason_and_code_is_put_in_words(language):
    from mesoscope.server.problems import TITLES
    from mesoscope.types.label import REASONS

    words = (STATIC / f"words/{language}.js").read_text("utf-8")
    missing = [reason for reason in REASONS if reason != "unreadable" and f"{reason}:" not in words]
    assert missing == []
    of_callers = ("request.", "service.failed", "job.finished", "answer.")
    codes = [code for code in TITLES if not code.startswith(of_callers)]
    assert [code for code in codes if f'"{code}":' not in words] == []
