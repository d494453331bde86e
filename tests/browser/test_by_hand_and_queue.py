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


def test_corners_and_a_region_are_marked_and_become_a_grid(desk):
    page = desk.page
    desk.goto("/devices")
    expect(page.locator("#limits")).to_contain_text("–")
    for name in ("corner-a", "region", "region", "region", "corner-b"):
        page.click(f"#mark-{name}")
        expect(page.locator("#marks")).to_contain_text(name)
        page.focus("#jog-right")
        with page.expect_response("**/stage/jog"):
            page.keyboard.press("ArrowRight" if name != "region" else "ArrowDown")
    expect(page.locator("#marks li")).to_have_count(5)
    expect(page.locator("#marks-told")).to_contain_text("3 points")
    desk.goto("/")
    page.click("#centre-marks")
    expect(page.locator("#centre-said")).to_contain_text("fields cover the corners")
    assert int(page.input_value("#rows")) > int(page.input_value("#columns"))
    page.select_option("#protocol", "her2_fish_select")
    page.select_option("#choose", "regions")
    page.click("#region-marks")
    expect(page.locator("#region-said")).to_contain_text("3 marked points")
    page.fill("#sample", "slide-33")
    page.fill("#operator", "technician-1")
    with page.expect_request("**/preflight") as asked:
        page.click("#check")
    sent = asked.value.post_data_json["overrides"]
    assert sent["select.choose"] == "regions"
    assert sent["select.regions"]["geometry"]["type"] == "Polygon"
    assert desk.rest("/stage/marks", method="DELETE").is_success


def test_the_live_view_counts_its_dose_and_stops_when_told(desk):
    page = desk.page
    desk.goto("/devices")
    page.click("#look-on")
    expect(page.locator("#looking")).to_contain_text("stops by itself")
    expect(page.locator("#dose-told")).to_contain_text("of 2 s")
    first = page.locator("#dose-told").inner_text()
    expect(page.locator("#dose-told")).not_to_have_text(first)
    page.click("#look-on")
    expect(page.locator("#looking")).to_be_hidden()
    expect(page.locator("#look-on")).to_have_attribute("aria-pressed", "false")


def test_the_doctor_lists_what_is_good_and_what_to_mend(desk):
    page = desk.page
    desk.goto("/devices")
    page.click("#examine")
    expect(page.locator("#doctor-told")).to_contain_text("need mending")
    expect(page.locator("#found li.ok").first).to_contain_text("✓")
    expect(page.locator("#found")).to_contain_text("every line reports off")
    desk.shoot("doctor")


def test_fields_are_chosen_over_the_overview_by_mouse_and_keyboard(desk):
    page = desk.page
    plan = {"grid.rows": 3, "grid.columns": 3, "select.choose": "person"}
    wanted = {"protocol": "demo", "sample": "slide-30", "operator": "technician-1"}
    told = desk.rest(
        "/runs",
        method="POST",
        json=wanted | {"overrides": plan | {"select.fields": 2}},
    ).json()
    desk.goto(f"/runs/{told['id']}")
    expect(page.locator("#choosing")).to_have_attribute("data-state", "open")
    expect(page.locator("#time-left")).to_contain_text("left to choose")
    page.click("#place-r01_c01")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator("#place-r01_c02")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#chosen-count")).to_have_text("2 of at most 2 chosen")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    expect(page.locator("#choice-form .message")).to_contain_text("take one out")
    assert serious_faults(page) == []
    page.fill("#chooser", "observer-1")
    desk.shoot("choose")
    page.click("#suggest")
    suggested = desk.rest(f"/runs/{told['id']}/selection").json()["suggested"]
    page.click("#start-bursts")
    expect(page.locator("#chosen-by")).to_contain_text("Chosen by observer-1")
    made = desk.rest(f"/runs/{told['id']}/selection").json()
    assert (made["state"], made["chosen"]) == ("made", suggested)
    desk.goto("/")
    page.fill("#sample", "slide-30")
    page.locator("#sample").blur()
    page.fill("#centre-x", "0")
    page.fill("#centre-y", "0")
    page.locator("#centre-y").blur()
    expect(page.locator("#plan-drawing image")).to_be_attached()


def serious_faults(page) -> list[str]:
    """Return what axe finds of serious faults on the page as it stands."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [v["id"] for v in found if v["impact"] in ("serious", "critical")]


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
