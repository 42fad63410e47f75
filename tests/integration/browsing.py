"""The page of the service in a real Chromium: what its tests share."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "samples"
FACE = SAMPLES / "forged/mouth_swapped.jpg"
CLIP = SAMPLES / "clips/two_people.mp4"
LONG_MS = 60_000  # the machine may be busy; nothing asserts on time
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
TIMEOUT = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def browser():
    pytest.importorskip("playwright", reason="playwright is not installed: the extra dev")
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine: the page is not tried in a browser")
    with sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--use-fake-device-for-media-stream",
                  "--use-fake-ui-for-media-stream"],
        )  # fmt: skip
        yield started
        started.close()


@contextlib.contextmanager
def serving(data, *options):
    """The address of a service of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mesoscope", "serve", "--port", "0", "--data", data, *options],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:  # closes the pipe
        try:
            for line in process.stderr:
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    break
            else:
                pytest.fail("the service did not start")
            # Its log must not fill the pipe.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield found[0]
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    with serving(tmp_path_factory.mktemp("page")) as found:
        yield found


@pytest.fixture
def open_page(browser):
    """``open_page(address, **of_the_context)`` → a page whose complaints fail the test."""
    contexts, complaints, elsewhere = [], [], []

    def make(address, path="/", **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(LONG_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
        page.on("console", lambda said: "Policy" in said.text and complaints.append(said.text))
        own = (address, "blob:", "data:")
        page.on("request", lambda r: r.url.startswith(own) or elsewhere.append(r.url))
        # Choosers are intercepted from here on: told only when a test waits for one, the browser
        # may hear of it after the key that opens it.
        page.on("filechooser", lambda chooser: None)
        page.goto(address + path)
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []
    assert elsewhere == []


def until(page, expression):
    """Wait for something of the page; the driver's own waiting needs eval, barred by the policy."""
    for _ in range(600):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"never came: {expression}")


def file(name, path):
    return {"name": name, "mimeType": "", "buffer": path.read_bytes()}


def give(page, *files):
    """Choose files and wait for their verdicts."""
    count = page.locator("#cards > .card").count() + len(files)
    chosen = [file(one.name, one) if isinstance(one, Path) else one for one in files]
    page.set_input_files("#files", chosen)
    until(page, f"document.querySelectorAll('#cards > .card').length >= {count}")
    until(page, "document.querySelectorAll('#cards .verdict.waiting').length === 0")
    return page.locator("#cards > .card")


def axe(page):
    """What axe-core finds wrong."""
    spec = importlib.util.find_spec("axe_playwright_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-core is not installed: the extra dev")
    page.evaluate((Path(spec.origin).parent / "axe.min.js").read_text("utf-8"))
    page.wait_for_timeout(1300)  # colours are read when the maps have faded in
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", RULES
    )
    assert len(found["passes"]) > 20
    return [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found["violations"]]


def overflow(page):
    root = "document.documentElement"
    return page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
