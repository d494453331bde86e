"""A microscope of its own, and a real Chromium that looks at its pages."""

import os
import shutil

import pytest
from browsing import WIDE, Desk, is_ready, wait_for
from short import short_folder

from her2sr_acq.launcher import Launcher
from her2sr_acq.verbs.demo_config import DemoOptions, write_configuration

playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright here")
playwright.expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no Chromium on this machine; apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def microscope():
    """Yield the launcher of a simulated microscope, ready for its first run.

    For one file: other tests of this process shall not meet its runtime folder.
    """
    keep = os.environ.get("HER2SR_RUNTIME")
    with short_folder() as folder:
        os.environ["HER2SR_RUNTIME"] = str(folder / "run")
        data = folder / "data"
        config = write_configuration(DemoOptions(data, size_px=256, seed=3))
        try:
            with Launcher(config, data, port=0) as launcher:
                wait_for(lambda: is_ready(launcher.url), 120.0)
                yield launcher
        finally:
            os.environ.pop("HER2SR_RUNTIME")
            if keep is not None:
                os.environ["HER2SR_RUNTIME"] = keep


@pytest.fixture
def desk(chromium, microscope):
    context = chromium.new_context(viewport=WIDE, locale="en-GB")
    context.set_default_timeout(60_000)
    found = Desk(context.new_page(), microscope.url)
    yield found
    context.close()
    found.end_runs()
    assert found.complaints == []


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Keep these tests in their written order: they are one day at one microscope."""
    places = [n for n, item in enumerate(items) if item.path.parent.name == "browser"]
    day = sorted((items[n] for n in places), key=lambda i: (i.path, i.location[1]))
    for place, item in zip(places, day, strict=True):
        items[place] = item
