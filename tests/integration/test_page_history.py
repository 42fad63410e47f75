"""The page in a real Chromium: history, comparing, reports, kept files."""

from __future__ import annotations

import csv
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(Path(__file__).parent)
    on = importlib.import_module("browsing")
browser, address, open_page = on.browser, on.address, on.open_page
pytestmark = on.TIMEOUT


def test_the_history_is_searched_judged_by_people_exported_and_forgotten(open_page, tmp_path):
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    with on.serving(tmp_path / "data") as address:
        page = open_page(address)
        page.get_by_role("link", name="History").click()
        page.get_by_text("Nothing has been checked yet.").wait_for()
        page.get_by_role("link", name="Check").click()
        on.give(
            page,
            on.FACE,
            on.SAMPLES / "real/collins.jpg",
            on.file("=cmd.jpg", on.SAMPLES / "odd/grey.jpg"),
        )
        card = page.locator(".card", has_text="collins.jpg")
        card.get_by_label("Real", exact=True).check()
        card.get_by_label("Why (optional)").fill("my own photograph")
        card.get_by_role("button", name="Save").click()
        card.get_by_text("Saved.").wait_for()
        page.get_by_role("link", name="History").click()
        page.locator("#history-count", has_text="3 results").wait_for()
        page.get_by_label("A person says").select_option("real")
        page.locator("#history-count", has_text="1 result").wait_for()
        page.get_by_label("A person says").select_option("forged")
        page.get_by_text("Nothing matches these filters.").wait_for()
        page.get_by_role("button", name="Clear filters").click()
        page.locator("#history-count", has_text="3 results").wait_for()
        with page.expect_download() as download:
            page.get_by_role("button", name="Export as CSV").click()
        rows = list(csv.DictReader(Path(download.value.path()).read_text("utf-8").splitlines()))
        assert {row["source"] for row in rows} == {on.FACE.name, "collins.jpg", "'=cmd.jpg"}
        assert float(rows[0]["p_fake"]) > 0
        with page.expect_download() as download:
            page.get_by_role("button", name="Export as JSON lines").click()
        lines = Path(download.value.path()).read_text("ascii").splitlines()
        assert {json.loads(line)["source"] for line in lines} == {
            on.FACE.name,
            "collins.jpg",
            "=cmd.jpg",
        }
        page.get_by_role("link", name="collins.jpg").click()
        card = page.locator("#one-result .card")
        assert card.get_by_label("Why (optional)").input_value() == "my own photograph"
        card.get_by_text("Report and export").click()
        card.get_by_role("button", name="Forget this result").click()
        page.get_by_role("button", name="Forget it").click()
        page.locator("#history-count", has_text="2 results").wait_for()


def test_two_results_stand_side_by_side(address, open_page):
    page = open_page(address)
    cards = on.give(page, on.FACE, on.SAMPLES / "real/hopper.jpg")
    for n in range(2):
        cards.nth(n).get_by_role("button", name="Compare").click()
    page.get_by_role("button", name="Compare side by side").click()
    page.locator("#two-results .card").nth(1).locator(".scale").wait_for()
    names = page.locator("#two-results .name").all_inner_texts()
    assert sorted(names) == ["hopper.jpg", on.FACE.name]
    boxes = [page.locator("#two-results .card").nth(n).bounding_box() for n in range(2)]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    # Neither file is kept, and this window still shows both, with their maps.
    assert page.locator("#two-results .heat").count() == 2
    page.reload()
    page.locator("#two-results .card").nth(1).locator(".scale").wait_for()
    page.get_by_text("This picture was not kept").first.wait_for()


@pytest.mark.parametrize("form", ["PDF", "a web page"])
def test_a_report_is_downloaded_with_its_picture_though_nothing_is_kept(address, open_page, form):
    for name in ("jinja2", "matplotlib", "reportlab"):
        pytest.importorskip(name, reason=f"{name} is not installed: the extra report")
    page = open_page(address)
    card = on.give(page, on.FACE).first
    card.get_by_text("Report and export").click()
    card.get_by_label("Case").fill("2026/17")
    with page.expect_download(timeout=3 * on.LONG_MS) as download:
        card.get_by_role("button", name=f"Report as {form}").click()
    data = Path(download.value.path()).read_bytes()
    if form == "PDF":
        assert data.startswith(b"%PDF-")
    else:
        assert b"2026/17" in data
        assert b"data:image/jpeg" in data
    card.get_by_text("The report is in your downloads.").wait_for()


def test_kept_pictures_are_shown_after_a_reload_with_a_key(open_page, tmp_path):
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    data = tmp_path / "data"
    made = subprocess.run(
        [sys.executable, "-m", "mesoscope", "keys", "add", "desk", "--data", data],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    key = re.search(r"meso_\S+", made.stdout)[0]
    with on.serving(data, "--keys", "--keep", "7") as address:
        page = open_page(address)
        dialog = page.get_by_role("dialog", name="This service asks for a key")
        dialog.get_by_label("Key").fill("meso_nobody_x")
        dialog.get_by_role("button").click()
        page.get_by_text("This key is not in force.").wait_for()
        dialog.get_by_label("Key").fill(key)
        dialog.get_by_role("button").click()
        page.get_by_text("Pictures and clips are kept on this server for 7 days").first.wait_for()
        on.give(page, on.FACE)
        page.reload()
        page.get_by_role("link", name="History").click()
        page.get_by_role("link", name=on.FACE.name).click()
        card = page.locator("#one-result .card")
        card.locator("img.picture[src^='blob:']").wait_for()
        card.get_by_role("button", name="Make the evidence map").click()
        card.locator(".heat").wait_for()
