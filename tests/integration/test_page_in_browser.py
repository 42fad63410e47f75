"""The page of the service in a real Chromium: what a journalist does with it."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples"
FACE = SAMPLES / "forged/mouth_swapped.jpg"
CLIP = SAMPLES / "clips/two_people.mp4"
NASTY = """"><img src=x onerror=alert(1)>'; DROP TABLE results;--\u202egpj.jpg"""
LONG_MS = 60_000  # the machine may be busy; nothing asserts on time
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

pytestmark = pytest.mark.timeout(600)


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
    try:
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            pytest.fail("the service did not start")
        yield found[0]
    finally:
        process.terminate()
        process.communicate(timeout=60)


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
        page.goto(address + path)
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []
    assert elsewhere == []


def give(page, *files):
    """Choose files and wait for their cards."""
    before = page.locator("#cards > .card").count()
    page.set_input_files("#files", [str(f) if isinstance(f, Path) else f for f in files])
    page.wait_for_function(
        "count => document.querySelectorAll('#cards > .card').length >= count",
        arg=before + len(files),
    )
    page.wait_for_function("document.querySelectorAll('#cards .verdict.waiting').length === 0")
    return page.locator("#cards > .card")


def file(name, path, kind="image/jpeg"):
    return {"name": name, "mimeType": kind, "buffer": path.read_bytes()}


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
    return [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in found["violations"]]


def overflow(page):
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def test_a_picture_appears_with_verdict_scale_and_evidence(address, open_page):
    page = open_page(address)
    page.get_by_role("button", name="Try a sample").click()
    card = page.locator(".card").first
    card.locator(".scale").wait_for()
    assert card.locator(".verdict").inner_text() == "The model cannot tell"
    label = card.locator(".scale").get_attribute("aria-label")
    assert re.match(r"Score 0\.\d{3} on a scale from 0 to 1\. Below 0\.\d{3}: no known", label)
    heat = card.locator(".heat")
    heat.wait_for()
    assert heat.is_visible()
    card.get_by_label("Evidence map").uncheck()
    assert not heat.is_visible()
    assert "(--keep 0)" in page.locator("#keep-short").inner_text()
    card.get_by_text("What the file says of itself").click()
    assert card.locator(".findings li").count() > 0


def test_the_word_real_is_never_a_promise(address, open_page):
    card = give(open_page(address), SAMPLES / "real/collins.jpg").first
    assert card.locator(".verdict").inner_text() == "No sign of a forgery known to this model"
    assert "no proof that a face is genuine" in card.locator(".means").inner_text()


def test_faces_are_boxed_numbered_and_pointed_at(address, open_page, tmp_path):
    crowd = Image.new("RGB", (900, 420), (96, 104, 110))
    for n, name in enumerate(("real/collins.jpg", "real/hopper.jpg")):
        with Image.open(SAMPLES / name) as face:
            crowd.paste(face, (90 + 430 * n, 80))
    crowd.save(tmp_path / "crowd.png")
    card = give(open_page(address), tmp_path / "crowd.png").first
    card.locator(".box").first.wait_for()
    assert card.locator(".box .plate").all_inner_texts() == ["1", "2"]
    card.get_by_role("button", name="Show face 1 in the picture").focus()
    assert card.locator(".box.pointed .plate").inner_text() == "1"
    card.get_by_label("Boxes").uncheck()
    assert card.locator(".box").first.is_hidden()
    card.get_by_label("Large").check()
    assert "large" in card.get_attribute("class")


def test_a_file_that_cannot_be_read_says_why_and_names_run_nothing(address, open_page):
    page = open_page(address)
    cards = give(page, file(NASTY, SAMPLES / "odd/cut_short.jpg"), SAMPLES / "odd/notes.txt")
    told = cards.all_inner_texts()
    assert any("damaged or incomplete" in text and "the JPEG is truncated" in text for text in told)
    assert any("Files of this kind are not read" in text for text in told)
    assert any("onerror=alert(1)" in text for text in told)
    page.goto(f"{address}/#history")
    page.get_by_label("Part of the file name").fill("DROP TABLE")
    page.locator("#history-count", has_text="1 result").wait_for()
    assert page.locator("img[src=x]").count() == 0


def test_a_clip_plays_and_its_timeline_is_stepped_through(address, open_page):
    page = open_page(address)
    card = give(page, CLIP).first
    slider = card.get_by_role("slider", name="Scores over time")
    slider.wait_for()
    page.wait_for_function("document.querySelector('.card video').readyState > 1")
    now = card.locator(".now")
    first = now.inner_text()
    assert re.match(r"0\.\d+ s / 4\.02 s · Person 1 0\.\d{3} · Person 2 0\.\d{3}", first)
    slider.press("ArrowRight")
    assert now.inner_text() != first
    assert slider.get_attribute("aria-valuetext").split(":")[0] == now.inner_text().split(" /")[0]
    slider.press("End")
    assert float(now.inner_text().split(" ")[0]) > 3.5
    slider.press("Home")
    assert now.inner_text() == first
    place = card.locator(".area").bounding_box()
    card.locator(".area").click(position={"x": place["width"] / 2, "y": 20})
    assert abs(float(now.inner_text().split(" ")[0]) - 2.0) < 0.1
    page.wait_for_function("Math.abs(document.querySelector('.card video').currentTime - 2) < .1")
    assert card.locator(".box").count() == 2
    before = card.locator(".box").first.get_attribute("style")
    card.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('.card video').currentTime > 2.5")
    card.get_by_role("button", name="Pause").click()
    assert card.locator(".box").first.get_attribute("style") != before
    assert card.locator(".persons li").count() == 2
    card.get_by_role("button", name="Check this frame by itself").click()
    page.locator(".card", has_text="frame at").locator(".scale").wait_for()


def test_files_are_dropped_and_pasted(address, open_page):
    page = open_page(address)
    send = """([how, name, bytes]) => {
      const carried = new DataTransfer();
      carried.items.add(new File([new Uint8Array(bytes)], name, {type: "image/jpeg"}));
      const given = {bubbles: true, cancelable: true};
      document.body.dispatchEvent(how === "drop"
        ? new DragEvent("drop", {...given, dataTransfer: carried})
        : new ClipboardEvent("paste", {...given, clipboardData: carried}));
    }"""
    data = list(FACE.read_bytes())
    page.evaluate(send, ["drop", "dropped.jpg", data])
    page.locator(".card", has_text="dropped.jpg").locator(".scale").wait_for()
    page.evaluate(send, ["paste", "image.png", data])
    page.locator(".card", has_text="pasted picture").locator(".scale").wait_for()
    page.evaluate("""() => {
      const carried = new DataTransfer();
      carried.setData("text", "https" + "://news.example/a.jpg");
      document.body.dispatchEvent(
        new ClipboardEvent("paste", {bubbles: true, clipboardData: carried}));
    }""")
    assert "fetches nothing" in page.locator("#status").inner_text()


def test_the_camera_takes_a_picture(address, open_page):
    page = open_page(address)
    page.get_by_role("button", name="Use the camera").click()
    page.wait_for_function("document.getElementById('camera-video').videoWidth > 0")
    page.get_by_role("button", name="Take the picture").click()
    page.locator(".card", has_text="photograph").locator(".told .means").wait_for()
    assert page.evaluate("document.getElementById('camera-video').srcObject") is None


def test_what_the_browser_cannot_show_comes_from_the_server(address, open_page, tmp_path):
    with Image.open(FACE) as face:
        face.save(tmp_path / "face.tif")
    card = give(open_page(address), tmp_path / "face.tif").first
    card.locator(".stage img.picture[src^='data:image/jpeg']").wait_for()
    card.locator(".heat").wait_for()


def test_an_archive_has_its_progress_and_its_own_page(address, open_page):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for n in range(3):
            archive.writestr(f"in the archive {n}.jpg", FACE.read_bytes())
        archive.writestr("broken.jpg", b"\xff\xd8\xff nothing")
    page = open_page(address)
    page.set_input_files(
        "#files", {"name": "many.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}
    )
    card = page.locator(".card", has_text="many.zip")
    card.get_by_text("finished").wait_for()
    assert "4 files of 4 judged · 1 could not be read" in card.inner_text()
    card.get_by_role("link", name="All results of this archive").click()
    page.locator("#history-count", has_text="4 results").wait_for()
    assert "one archive" in page.locator("#of-job").inner_text()


def test_the_history_is_searched_judged_by_people_exported_and_forgotten(open_page, tmp_path):
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    with serving(tmp_path / "data") as address:
        page = open_page(address)
        page.get_by_role("link", name="History").click()
        page.get_by_text("Nothing has been checked yet.").wait_for()
        page.get_by_role("link", name="Check").click()
        give(page, FACE, SAMPLES / "real/collins.jpg", file("=cmd.jpg", SAMPLES / "odd/grey.jpg"))
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
        assert {row["source"] for row in rows} == {FACE.name, "collins.jpg", "'=cmd.jpg"}
        assert float(rows[0]["p_fake"]) > 0
        with page.expect_download() as download:
            page.get_by_role("button", name="Export as JSON lines").click()
        lines = Path(download.value.path()).read_text("ascii").splitlines()
        assert {json.loads(line)["source"] for line in lines} == {
            FACE.name,
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
    cards = give(page, FACE, SAMPLES / "real/hopper.jpg")
    for n in range(2):
        cards.nth(n).get_by_role("button", name="Compare").click()
    page.get_by_role("button", name="Compare side by side").click()
    page.locator("#two-results .card").nth(1).locator(".scale").wait_for()
    names = page.locator("#two-results .name").all_inner_texts()
    assert sorted(names) == ["hopper.jpg", FACE.name]
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
    card = give(page, FACE).first
    card.get_by_text("Report and export").click()
    card.get_by_label("Case").fill("2026/17")
    with page.expect_download() as download:
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
    with serving(data, "--keys", "--keep", "7") as address:
        page = open_page(address)
        dialog = page.get_by_role("dialog", name="This service asks for a key")
        dialog.get_by_label("Key").fill("meso_nobody_x")
        dialog.get_by_role("button").click()
        page.get_by_text("This key is not in force.").wait_for()
        dialog.get_by_label("Key").fill(key)
        dialog.get_by_role("button").click()
        page.get_by_text("Pictures and clips are kept on this server for 7 days").first.wait_for()
        give(page, FACE)
        page.reload()
        page.get_by_role("link", name="History").click()
        page.get_by_role("link", name=FACE.name).click()
        card = page.locator("#one-result .card")
        card.locator("img.picture[src^='blob:']").wait_for()
        card.get_by_role("button", name="Make the evidence map").click()
        card.locator(".heat").wait_for()


def test_german_is_whole_chosen_by_the_browser_and_remembered(address, open_page):
    page = open_page(address, locale="de-AT")
    assert page.get_by_role("heading", level=1).inner_text() == "Ist dieses Gesicht gefälscht?"
    card = give(page, FACE).first
    assert card.locator(".verdict").inner_text() == "Das Modell kann es nicht sagen"
    page.get_by_role("combobox", name="Sprache").select_option("en")
    assert card.locator(".verdict").inner_text() == "The model cannot tell"
    page.reload()
    assert page.get_by_role("heading", level=1).inner_text() == "Is this face forged?"
    differences = page.evaluate("""async () => {
      const { languages } = await import("./words.js");
      const shape = (value) => typeof value === "object" && !Array.isArray(value)
        ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, shape(value[key])]))
        : typeof value === "function" ? value.length : Array.isArray(value) ? value.length : "text";
      const [first, ...others] = Object.values(languages).map((one) => JSON.stringify(shape(one)));
      return [Object.keys(languages), others.filter((one) => one !== first)];
    }""")
    assert differences == [["en", "de"], []]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en", "de"])
def test_axe_finds_nothing_anywhere(address, open_page, scheme, locale):
    page = open_page(address, color_scheme=scheme, locale=locale)
    page.wait_for_function("document.getElementById('model').textContent")
    found = {"empty": axe(page)}
    cards = give(page, FACE, SAMPLES / "odd/cut_short.jpg", CLIP)
    for summary in page.locator("summary").all():
        summary.click()
    found["cards"] = axe(page)
    for n in range(cards.count()):
        if (pick := cards.nth(n).locator(".pick")).count():
            pick.click()
    page.locator("#compare-acts .main").click()
    page.locator("#two-results .card").nth(1).locator(".scale").wait_for()
    found["compare"] = axe(page)
    page.goto(f"{address}/#history")
    page.locator(".rows").wait_for()
    found["history"] = axe(page)
    page.locator(".rows a").first.click()
    page.locator("#one-result .card .told").wait_for()
    found["result"] = axe(page)
    assert {view: wrong for view, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_nothing_is_cut_off_on_a_phone(address, open_page, direction):
    page = open_page(address, viewport={"width": 320, "height": 640}, locale="de")
    page.evaluate("direction => { document.documentElement.dir = direction }", direction)
    wide = {"empty": overflow(page)}
    give(page, file("a-very-long-name-without-any-space-" * 4 + ".jpg", FACE), CLIP)
    for summary in page.locator("summary").all():
        summary.click()
    wide["cards"] = overflow(page)
    for view in ("history", "compare"):
        if view == "compare":
            for n in range(2):
                page.locator(".rows input").nth(n).check()
            page.locator("#compare-acts .main").click()
            page.locator("#two-results .card").nth(1).locator(".scale").wait_for()
        else:
            page.goto(f"{address}/#history")
            page.locator(".rows").wait_for()
        wide[view] = overflow(page)
    assert wide == dict.fromkeys(wide, 0)


def test_all_is_reached_by_the_keyboard(address, open_page):
    page = open_page(address)
    page.wait_for_function("document.getElementById('model').textContent")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(str(FACE))
    page.locator(".card .scale").wait_for()
    seen = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.textContent || document.activeElement.type"))
        assert page.evaluate("""() => {
          const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
          return document.activeElement === document.body
            || (outlineStyle !== "none" && outlineWidth !== "0px");
        }""")
    told = " ".join(seen)
    for part in ("Compare", "What the file says", "Report and export", "radio", "Save"):
        assert part in told, part
    page.get_by_role("link", name="History").focus()
    page.keyboard.press("Enter")
    page.locator(".rows").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "History"


def test_a_service_that_comes_back_goes_on_with_a_job(open_page, tmp_path):
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for n in range(150):
            archive.writestr(f"{n}.mp4", CLIP.read_bytes() if n % 25 == 0 else FACE.read_bytes())
    with serving(tmp_path / "data") as address:
        page = open_page(address)
        page.set_input_files(
            "#files", {"name": "a.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}
        )
        page.locator(".card progress[value]").wait_for()
        port = address.rpartition(":")[2]
    page.get_by_text("Trying again").wait_for()
    with serving(tmp_path / "data", "--port", port) as again:
        assert again == address
        page.locator(".card", has_text="a.zip").get_by_text("finished").wait_for()
        assert "150 files of 150 judged" in page.locator(".card").inner_text()
        page.goto(f"{address}/#history")  # before the service goes: nothing is asked of it later
        page.locator(".rows").wait_for()
