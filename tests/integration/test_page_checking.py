"""The page in a real Chromium: pictures, clips and archives are checked."""

from __future__ import annotations

import importlib
import io
import re
import zipfile
from pathlib import Path

import pytest
from PIL import Image

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(Path(__file__).parent)
    on = importlib.import_module("browsing")
browser, address, open_page = on.browser, on.address, on.open_page
NASTY = """"><img src=x onerror=alert(1)>'; DROP TABLE results;--\u202egpj.jpg"""
pytestmark = on.TIMEOUT


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
    card = on.give(open_page(address), on.SAMPLES / "real/hopper_400px.jpg").first
    assert card.locator(".verdict").inner_text() == "No sign of a forgery known to this model"
    assert "no proof that a face is genuine" in card.locator(".means").inner_text()


def test_faces_are_boxed_numbered_and_pointed_at(address, open_page, tmp_path):
    crowd = Image.new("RGB", (900, 420), (96, 104, 110))
    for n, name in enumerate(("real/collins.jpg", "real/hopper.jpg")):
        with Image.open(on.SAMPLES / name) as face:
            crowd.paste(face, (90 + 430 * n, 80))
    crowd.save(tmp_path / "crowd.png")
    card = on.give(open_page(address), tmp_path / "crowd.png").first
    card.locator(".box").first.wait_for()
    assert card.locator(".box .plate").all_inner_texts() == ["1", "2"]
    card.get_by_role("button", name="Show face 1 in the picture").focus()
    assert card.locator(".box.pointed .plate").inner_text() == "1"
    card.get_by_label("Boxes").uncheck()
    assert card.locator(".box").first.is_hidden()
    card.get_by_label("Large").check()
    assert "large" in card.get_attribute("class")


def test_a_face_is_unfamiliar_by_the_threshold_in_force(open_page, tmp_path):
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    with on.serving(tmp_path / "data", "--unfamiliar-above", "0.5") as address:
        page = open_page(address)
        page.get_by_role("button", name="Try a sample").wait_for()
        labels = page.evaluate(
            """async () => {
                const { loadModel, faceLabel } = await import("/model.js");
                await loadModel();
                return [0.4, 0.6].map((unfamiliar) => faceLabel({ unfamiliar, p_fake: 0.5 }));
            }"""
        )
    assert labels == ["inconclusive", "unfamiliar"]


def test_a_file_that_cannot_be_read_says_why_and_names_run_nothing(address, open_page):
    page = open_page(address)
    cards = on.give(
        page, on.file(NASTY, on.SAMPLES / "odd/cut_short.jpg"), on.SAMPLES / "odd/notes.txt"
    )
    told = cards.all_inner_texts()
    assert any("is damaged or incomplete" in text and "JPEG is truncated" in text for text in told)
    assert any("not a picture, whatever its name says" in text for text in told)
    assert any("onerror=alert(1)" in text for text in told)
    page.goto(f"{address}/#history")
    page.get_by_label("Part of the file name").fill("DROP TABLE")
    page.locator("#history-count", has_text="1 result").wait_for()
    assert page.locator("img[src=x]").count() == 0


def test_a_clip_plays_and_its_timeline_is_stepped_through(address, open_page):
    page = open_page(address)
    card = on.give(page, on.CLIP).first
    slider = card.get_by_role("slider", name="Scores over time")
    slider.wait_for()
    on.until(page, "document.querySelector('.card video').readyState > 1")
    now = card.locator(".now")
    first = now.inner_text()
    assert re.match(r"0\.\d+ s / 4\.02 s · Person\s1\s0\.\d{3} · Person\s2\s0\.\d{3}", first)
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
    on.until(page, "Math.abs(document.querySelector('.card video').currentTime - 2) < .1")
    assert card.locator(".box").count() == 2
    before = card.locator(".box").first.get_attribute("style")
    card.get_by_role("button", name="Play").click()
    on.until(page, "document.querySelector('.card video').currentTime > 2.5")
    card.get_by_role("button", name="Pause").click()
    assert card.locator(".box").first.get_attribute("style") != before
    assert card.locator(".persons li").count() == 2
    card.get_by_role("button", name="Check this frame by itself").click()
    page.locator(".card", has_text="frame at").locator(".scale").wait_for()


def test_an_animated_picture_is_stepped_through_as_a_clip_is(address, open_page, tmp_path):
    av = pytest.importorskip("av")
    with av.open(str(on.CLIP)) as clip:
        frames = [frame.to_image() for frame in clip.decode(video=0)][::12]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=500)
    page = open_page(address)
    card = on.give(page, tmp_path / "a.gif").first
    card.get_by_role("slider", name="Scores over time").press("End")
    last = 0.5 * (len(frames) - 1)
    assert card.locator(".now").inner_text().startswith(f"{last:.2f} s")
    assert card.locator("canvas").is_visible()
    assert card.locator(".box").count() == 2
    card.get_by_role("button", name="Play", exact=True).click()
    card.get_by_role("button", name="Pause").click()


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
    data = list(on.FACE.read_bytes())
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
    page.evaluate("document.getElementById('status').textContent = ''")
    page.evaluate("""() => {
      const carried = new DataTransfer();
      carried.setData("text/uri-list", "https" + "://news.example/a.jpg");
      const given = {bubbles: true, cancelable: true, dataTransfer: carried};
      if (document.body.dispatchEvent(new DragEvent("drop", given))) throw Error("let through");
    }""")
    assert "fetches nothing" in page.locator("#status").inner_text()


def test_the_camera_takes_a_picture(address, open_page):
    page = open_page(address)
    page.get_by_role("button", name="Use the camera").click()
    on.until(page, "document.getElementById('camera-video').videoWidth > 0")
    page.get_by_role("button", name="Take the picture").click()
    page.locator(".card", has_text="photograph").locator(".means").wait_for()
    assert page.evaluate("document.getElementById('camera-video').srcObject") is None


def test_what_the_browser_cannot_show_comes_from_the_server(address, open_page, tmp_path):
    with Image.open(on.FACE) as face:
        face.save(tmp_path / "face.tif")
    card = on.give(open_page(address), tmp_path / "face.tif").first
    card.locator(".stage img.picture[src^='data:image/jpeg']").wait_for()
    card.locator(".heat").wait_for()


def test_an_archive_has_its_progress_and_its_own_page(address, open_page):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for n in range(3):
            archive.writestr(f"in the archive {n}.jpg", on.FACE.read_bytes())
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


def test_a_service_that_comes_back_goes_on_with_a_job(open_page, tmp_path):
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for n in range(150):
            archive.writestr(
                f"{n}.mp4", on.CLIP.read_bytes() if n % 25 == 0 else on.FACE.read_bytes()
            )
    with on.serving(tmp_path / "data") as address:
        page = open_page(address)
        page.set_input_files(
            "#files", {"name": "a.zip", "mimeType": "application/zip", "buffer": packed.getvalue()}
        )
        page.locator(".card progress[value]").wait_for()
        port = address.rpartition(":")[2]
    page.get_by_text("Trying again").wait_for()
    with on.serving(tmp_path / "data", "--port", port) as again:
        assert again == address
        page.locator(".card", has_text="a.zip").get_by_text("finished").wait_for()
        assert "150 files of 150 judged" in page.locator(".card").inner_text()
        page.goto(f"{address}/#history")  # before the service goes: nothing is asked of it later
        page.locator(".rows").wait_for()
