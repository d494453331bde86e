"""A technician's day in a real browser: start, watch, stop, morning, review, sign."""

import os
import re
import signal

import pytest
from browsing import TABLET
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(300)  # with the start of its microscope


PAGES = ("/", "/runs", "/devices", "/settings")


def start(desk, sample: str, *, columns: int = 1) -> str:
    """Start a run of one row on the page; return its id."""
    page = desk.page
    desk.goto("/")
    page.fill("#sample", sample)
    page.fill("#operator", "technician-1")
    page.select_option("#protocol", "demo")
    page.fill("#rows", "1")
    page.fill("#columns", str(columns))
    page.click("#go")
    page.wait_for_url(re.compile(r"/runs/[^/]+$"))
    return page.url.rsplit("/", 1)[1]


def test_a_technicians_day(desk):
    page = desk.page
    desk.goto("/")
    page.fill("#sample", "12345678")
    expect(page.locator("#sample-refused")).to_be_visible()
    page.fill("#sample", "slide-17")
    expect(page.locator("#sample-refused")).to_be_hidden()
    page.fill("#operator", "technician-1")
    page.select_option("#protocol", "demo")
    page.fill("#rows", "1")
    page.fill("#columns", "1")
    page.click("#check")
    expect(page.locator("#checks li.ok").first).to_be_visible()
    expect(page.locator("#checks li.bad")).to_have_count(0)
    desk.shoot("start")

    start(desk, "slide-17")
    expect(page.locator("#state")).to_contain_text("running")
    expect(page.locator("#live-age")).to_contain_text("from the burst")
    expect(page.locator("#growing-line")).to_contain_text("localizations")
    desk.shoot("run")
    words = page.locator("main").inner_text().lower()
    assert "ratio" not in words, "a running answer invites peeking"
    assert "group" not in words
    expect(page.locator("#state")).to_contain_text("complete", timeout=90_000)

    page.click("#to-morning")
    expect(page.locator("#complete-line")).to_be_visible()
    expect(page.locator("#answer")).to_contain_text("HER2")
    desk.shoot("morning")

    page.click("#review")
    page.wait_for_load_state()
    page.fill("#name", "observer-1")
    page.click("#who button")
    draw_tumour(page)
    desk.shoot("review-regions")
    page.click("[data-tab=reading]")
    page.fill("#many", "2")
    page.get_by_role("button", name="Begin").click()
    for number in range(1, 2 * 2 + 1):  # two nuclei, each in both arms
        expect(page.locator("#reading")).to_contain_text(f"Picture {number} of 4")
        expect(page.locator(".answerline")).to_contain_text("not counted yet")
        for key in ("2", "Enter", "2", "Enter"):
            page.keyboard.press(key)
        expect(page.locator("#reading")).to_contain_text(f"{number} counted")
    desk.shoot("review-reading")
    page.get_by_role("button", name="Sign this reading").click()
    expect(page.locator("#stands")).to_contain_text("case")
    page.click("[data-tab=record]")
    expect(page.locator("#record")).to_contain_text("observer-1")
    expect(page.locator("#record")).to_contain_text("signed")
    desk.shoot("review-record")


def draw_tumour(page) -> None:
    """Draw an area over most of the slide, and mark it invasive."""
    expect(page.locator("#slide .nucleus").first).to_be_attached()
    page.click("#draw")
    slide = page.locator("#slide")
    box = slide.bounding_box()
    side = min(box["width"], box["height"]) * 0.45
    for across, down in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        x, y = box["width"] / 2 + across * side, box["height"] / 2 + down * side
        slide.click(position={"x": x, "y": y})  # scrolls to it, as a hand would
        page.wait_for_timeout(350)  # nearer clicks are one double click
    expect(page.locator("#chosen")).to_contain_text("4 corners")
    page.click("[data-mark=invasive]")
    expect(page.locator("#slide .nucleus.invasive").first).to_be_attached()


def test_a_run_that_is_stopped_says_what_is_missing_in_the_morning(desk):
    page = desk.page
    run = start(desk, "slide-18", columns=2)
    expect(page.locator("#state")).to_contain_text("running")
    page.click("#stop")
    expect(page.locator("#state")).to_contain_text("stopped", timeout=60_000)
    desk.goto(f"/runs/{run}/morning")
    expect(page.locator("#missing-line")).to_be_visible()
    expect(page.locator("#missing")).to_contain_text("the run was stopped before it")
    assert page.locator("#missing button").count() >= 3
    desk.shoot("morning-partial")


def test_light_off_works_from_every_page_and_is_taken_back(desk):
    page = desk.page
    run = start(desk, "slide-19")
    for path in (*PAGES, f"/runs/{run}", f"/runs/{run}/morning"):
        desk.goto(path)
        page.click("#estop")
        expect(page.locator("#latch")).to_be_visible()
        page.fill("#latch [name=by]", "technician-1")
        page.fill("#latch [name=reason]", "the slide was looked at")
        page.click("#latch button")
        expect(page.locator("#latch")).to_have_count(0)


def test_the_page_says_that_the_service_is_gone_and_comes_back_by_itself(
    desk, microscope
):
    page = desk.page
    desk.expected = ("ERR_CONNECTION", "Failed to load resource", "ERR_EMPTY_RESPONSE")
    start(desk, "slide-20")
    expect(page.locator("#state")).to_contain_text("running")
    os.kill(microscope.pids["api"], signal.SIGKILL)
    expect(page.locator("#away")).to_be_visible()
    expect(page.locator("#away")).to_be_hidden(timeout=90_000)
    expect(page.locator("#state")).to_contain_text("running")


def test_a_hundred_tiles_are_live(desk):
    page = desk.page
    desk.goto("/")
    page.fill("#sample", "slide-21")
    page.fill("#operator", "technician-1")
    page.select_option("#protocol", "demo")
    page.fill("#rows", "10")
    page.fill("#columns", "10")
    page.click("#go")
    page.wait_for_url(re.compile(r"/runs/[^/]+$"))
    expect(page.locator(".tile")).to_have_count(100)
    expect(page.locator(".tile .unit.complete").first).to_be_attached(timeout=60_000)
    desk.shoot("run-hundred")


def test_pages_fit_a_tablet_and_speak_japanese(desk):
    page = desk.page
    page.set_viewport_size(TABLET)
    for path in PAGES:
        desk.goto(path)
        page.click("#language-ja")
        expect(page.locator("html")).to_have_attribute("lang", "ja")
        assert (
            page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        ), f"{path} is wider than the screen"
        if path == "/":
            desk.shoot("start-japanese")
        page.click("#language-en")


def test_no_page_has_a_serious_fault_of_accessibility(desk):
    from axe_playwright_python.sync_playwright import Axe

    runs = desk.rest("/runs").json()
    run = runs[-1]["id"] if runs else start(desk, "slide-22")
    paths = (*PAGES, f"/runs/{run}", f"/runs/{run}/morning", f"/runs/{run}/review")
    for path in paths:
        desk.goto(path)
        found = Axe().run(desk.page).response["violations"]
        serious = [
            f"{v['id']}: {n['html'][:100]}"
            for v in found
            if v["impact"] in ("serious", "critical")
            for n in v["nodes"]
        ]
        assert serious == [], path
