"""A tab of a browser on a microscope of its own, for tests that look at pages."""

import os
import time
from pathlib import Path

import httpx

WIDE, TABLET = {"width": 1280, "height": 800}, {"width": 820, "height": 1180}
SHOTS = "HER2SR_SCREENSHOTS"
"""Names the folder that the pages' pictures are written to, where they are wanted."""


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False, timeout=5.0).is_success
    except httpx.HTTPError:
        return False


def wait_for(is_so, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


class Desk:
    """One tab, with what its console said, and pictures where they are wanted."""

    def __init__(self, page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        self.expected: tuple[str, ...] = ()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())

    def _hear(self, message) -> None:
        if message.type != "error":
            return
        if not any(words in message.text for words in self.expected):
            self.complaints.append(message.text)

    def goto(self, path: str) -> None:
        self.page.goto(self.url + path)

    def rest(self, path: str, **options):
        return httpx.request(
            options.pop("method", "GET"),
            f"{self.url}/api/v1{path}",
            trust_env=False,
            timeout=20.0,
            **options,
        )

    def end_runs(self) -> None:
        """Stop what still runs, so that the next test finds the microscope free."""
        for run in self.rest("/runs").json():
            if not run["ended_utc"]:
                self.rest(f"/runs/{run['id']}/stop", method="POST")
                wait_for(lambda run=run: self.view(run["id"])["ended_utc"], 60.0)

    def view(self, run: str) -> dict[str, object]:
        return self.rest(f"/runs/{run}").json()

    def shoot(self, name: str) -> None:
        folder = os.environ.get(SHOTS)
        if folder:
            path = Path(folder) / f"{name}.png"
            self.page.screenshot(path=path, full_page=True)
