"""The page in a real Chromium: for whom it works, and how."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(Path(__file__).parent)
    on = importlib.import_module("browsing")
browser, address, open_page = on.browser, on.address, on.open_page
pytestmark = on.TIMEOUT


def test_german_is_whole_chosen_by_the_browser_and_remembered(address, open_page):
    page = open_page(address, locale="de-AT")
    assert page.get_by_role("heading", level=1).inner_text() == "Ist dieses Gesicht gefälscht?"
    card = on.give(page, on.FACE).first
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
    on.until(page, "document.getElementById('model').textContent")
    found = {"empty": on.axe(page)}
    cards = on.give(page, on.FACE, on.SAMPLES / "odd/cut_short.jpg", on.CLIP)
    for summary in page.locator("summary").all():
        summary.click()
    found["cards"] = on.axe(page)
    for n in range(cards.count()):
        if (pick := cards.nth(n).locator(".pick")).count():
            pick.click()
    page.locator("#compare-acts .main").click()
    page.locator("#two-results .card").nth(1).locator(".scale").wait_for()
    found["compare"] = on.axe(page)
    page.goto(f"{address}/#history")
    page.locator(".rows").wait_for()
    found["history"] = on.axe(page)
    page.locator(".rows a").first.click()
    page.locator("#one-result .verdict").wait_for()
    found["result"] = on.axe(page)
    assert {view: wrong for view, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_nothing_is_cut_off_on_a_phone(address, open_page, direction):
    page = open_page(address, viewport={"width": 320, "height": 640}, locale="de")
    page.evaluate("direction => { document.documentElement.dir = direction }", direction)
    wide = {"empty": on.overflow(page)}
    on.give(page, on.file("a-very-long-name-without-any-space-" * 4 + ".jpg", on.FACE), on.CLIP)
    for summary in page.locator("summary").all():
        summary.click()
    wide["cards"] = on.overflow(page)
    for view in ("history", "compare"):
        if view == "compare":
            for n in range(2):
                page.locator(".rows input").nth(n).check()
            page.locator("#compare-acts .main").click()
            page.locator("#two-results .card").nth(1).locator(".scale").wait_for()
        else:
            page.goto(f"{address}/#history")
            page.locator(".rows").wait_for()
        wide[view] = on.overflow(page)
    assert {view: px for view, px in wide.items() if px > 0} == {}


def test_all_is_reached_by_the_keyboard(address, open_page):
    page = open_page(address)
    on.until(page, "document.getElementById('model').textContent")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    page.keyboard.press("Enter")
    on.until(page, "document.activeElement.id === 'main'")
    page.keyboard.press("Tab")
    on.until(page, "document.activeElement.id === 'choose'")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(str(on.FACE))
    page.locator(".card .scale").wait_for()
    seen = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.textContent || document.activeElement.type"))
        assert page.evaluate("""() => {
          const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
          return document.activeElement === document.body
            || outlineStyle !== "none" && outlineWidth !== "0px";
        }""")
    told = " ".join(seen)
    for part in ("Compare", "What the file says", "Report and export", "radio", "Save"):
        assert part in told, part
    page.get_by_role("link", name="History").focus()
    page.keyboard.press("Enter")
    page.locator(".rows").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "History"
