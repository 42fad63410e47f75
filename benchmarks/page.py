"""The service's page in a real Chromium: bytes, and seconds from opening to the sample's verdict.

Each round opens a browser window with an empty cache, waits for the button of the bundled sample,
presses it, and waits until its verdict stands on its scale. ``--shots FOLDER`` writes pictures of
the page: desktop and phone, light and dark, in both languages.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from measure import ROOT, Bound, Row, Spread, parser, run, say, workplace
from serving import Server

SAMPLES = ROOT / "samples"
LOOKS = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "desktop-dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True,
        "has_touch": True, "locale": "de-DE",
    },
    "phone-dark": {
        "viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True,
        "has_touch": True, "color_scheme": "dark",
    },
}  # fmt: skip


def options():
    made = parser("page", __doc__.splitlines()[0])
    made.set_defaults(rounds=7)
    made.add_argument("--model", default="mesoscope", help="a shipped model or a file")
    made.add_argument("--shots", type=Path, help="folder for pictures of the page")
    return made


def bench(chosen, conditions) -> list[Row]:
    with workplace() as work, Server(work, chosen.model, "auto") as server, browser() as chromium:
        conditions.add({"chromium": chromium.version})
        opened(chromium, server.url)  # the service's first picture warms it up
        found = []
        for number in range(chosen.rounds):
            found.append(opened(chromium, server.url))
            say(f"round {number + 1} of {chosen.rounds}: {found[-1][0]:.2f} s")
        if chosen.shots:
            shoot(chromium, server.url, chosen.shots)
    seconds, sizes = zip(*found, strict=True)
    how = "a new window with an empty cache each time, beside the service on this machine"
    return [
        Row("page", "opening until the verdict of the sample", "s", Spread.of(seconds),
            asked=Bound("ours", "≤", 1.5), n=1, how=how, model=chosen.model, data="sample.jpg"),
        Row("page", "all files of the page, the sample too", "kB", Spread.of(sizes),
            asked=Bound("ours", "≤", 200), n=1, how=how),
    ]  # fmt: skip


@contextlib.contextmanager
def browser():
    """The system's Chromium."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise SystemExit("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


def opened(chromium, url: str) -> tuple[float, float]:
    """Seconds until the first verdict, and kilobytes that came for the page."""
    context = chromium.new_context()
    page = context.new_page()
    sizes = []
    page.on("response", lambda r: "/v1/" in r.url or sizes.append(len(r.body())))
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.locator("#sample:not(:empty)").click()
    page.locator(".scale").wait_for()
    seconds = time.perf_counter() - began
    context.close()
    return seconds, sum(sizes) / 1000


def shoot(chromium, url: str, folder: Path) -> None:
    """Pictures of the page with nothing, a picture, a file that is none, a clip, and a history."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, look in LOOKS.items():
        context = chromium.new_context(**look)
        page = context.new_page()
        page.goto(url)
        page.locator("#keep-short:not(:empty)").wait_for()
        page.screenshot(path=folder / f"{name}-empty.png")
        page.locator("#sample").click()
        page.locator(".legend").wait_for()
        taken(page, ".card", folder / f"{name}-picture.png")
        page.set_input_files("#files", SAMPLES / "odd/cut_short.jpg")
        page.locator(".verdict.error").wait_for()
        taken(page, ".card", folder / f"{name}-error.png")
        page.set_input_files("#files", SAMPLES / "clips/two_people.mp4")
        page.locator(".clip .box").first.wait_for()
        taken(page, ".card", folder / f"{name}-clip.png")
        page.goto(f"{url}/#history")
        page.locator(".rows").wait_for()
        page.screenshot(path=folder / f"{name}-history.png")
        context.close()


def taken(page, what: str, path: Path) -> None:
    page.wait_for_timeout(1500)  # until maps have faded in
    page.locator(what).first.screenshot(path=path)


def main(arguments=None):
    return run(bench, options(), arguments)


if __name__ == "__main__":
    main()
