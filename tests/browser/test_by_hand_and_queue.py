"""What is done between runs: move, focus, mark, look once; let slides wait."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.timeout(300)  # with the start of its microscope


def test_stage_focus_marks_and_one_picture_by_hand(desk):
    page = desk.page
    desk.goto("/devices")
    expect(page.locator("#where")).to_contain_text("µm")
    before = desk.rest("/stage").json()
    page.fill("#step", "20")
    page.click("#jog-right")
    expect(page.locator("#where")).to_contain_text(f"{before['x_um'] + 20:.1f}")
    page.click("#jog-z_up")
    expect(page.locator("#where")).to_contain_text(f"{before['z_um'] + 0.5:.2f}")
    page.fill("#mark-name", "corner-7")
    page.click("#mark button.outline >> nth=0")
    expect(page.locator("#marks")).to_contain_text("corner-7")
    page.click("#snap-go")
    expect(page.locator("#picture")).to_be_visible()
    assert is_drawn(page, "#picture"), "the picture has one grey value only"
    expect(page.locator("#dose-told")).to_contain_text(re.compile(r"\d"))
    expect(page.locator("#hand-message")).to_be_hidden()
    desk.shoot("devices")
    page.click("#clear-marks")
    expect(page.locator("#marks li")).to_have_count(0)


def test_a_second_slide_waits_while_the_first_is_measured(desk):
    page = desk.page
    desk.goto("/")
    page.fill("#operator", "technician-1")
    page.select_option("#protocol", "demo")
    page.fill("#rows", "1")
    page.fill("#columns", "1")
    for axis in ("x", "y"):
        page.fill(f"#centre-{axis}", "0")
    for sample in ("slide-31", "slide-32"):
        page.fill("#sample", sample)
        page.click("#queue")
        expect(page.locator("#said")).to_be_visible()
        expect(page.locator("#sample")).to_have_value("")
        expect(page.locator("#queued")).to_contain_text(sample)
    expect(page.locator("#queued")).to_contain_text("waiting")
    desk.shoot("start-queue")
    desk.goto("/devices")
    expect(page.locator("#busy")).to_be_visible()
    expect(page.locator("#snap-go")).to_be_disabled()
    expect(page.locator("#live")).to_be_visible()
    assert is_drawn(page, "#live")


def is_drawn(page, canvas: str) -> bool:
    """Whether a canvas holds a picture with more than one colour."""
    return page.evaluate(
        """(name) => {
            const canvas = document.querySelector(name);
            const all = canvas.getContext("2d")
                .getImageData(0, 0, canvas.width, canvas.height).data;
            return new Set(all.filter((_, i) => i % 4 === 0)).size > 1;
        }""",
        canvas,
    )
