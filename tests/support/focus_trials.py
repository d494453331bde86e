"""Runs on a tilted, drifting slide, with an onlooker of the true focus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import yaml
from fake_localizer import FakeLocalizer
from microscopes import opened, simulated_here
from scipy import ndimage, optimize
from stations import Rig, request, rig

from her2sr_acq.config import load
from her2sr_acq.devices.ports import Camera, Focus
from her2sr_acq.engine.views import RunRequest
from her2sr_acq.plan.models import Protocol
from her2sr_proc.schema.block import UnitKey
from her2sr_proc.store import raw
from her2sr_proc.store.ledger import read_ledger
from simulators.client import MicroscopeClient
from simulators.microscope import Microscope

BOX = 4
FRAMES = 60
DEPTH_UM = 0.2582
"""Over which a spot in focus widens by sqrt(2), in the simulated microscope."""


@dataclass
class Onlooker:
    """Passes the camera's calls on; notes the true focus when a burst begins."""

    camera: Camera
    client: MicroscopeClient
    frames: int = 0
    out_um: list[float] = field(default_factory=list)
    """At the start of every burst that is no picture to focus by, and not dark."""
    pictures: int = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.camera, name)

    def arm(self, *, frames: int, **more: object) -> None:
        self.frames = frames
        self.camera.arm(frames=frames, **more)

    def start(self) -> None:
        state = self.client.state()
        if state.is_lit() and self.frames > 1:
            self.out_um.append(state.out_of_focus_um)
        self.pictures += state.is_lit() and self.frames == 1
        self.camera.start()


@dataclass
class LoggedFocus:
    """Passes moves on and keeps every place that was asked for and read."""

    focus: Focus
    absolute: int = 0
    read_um: list[float] = field(default_factory=list)

    def move_to(self, *, z_um: float) -> None:
        self.absolute += 1
        self.focus.move_to(z_um=z_um)

    def move_by(self, *, dz_um: float) -> None:
        self.focus.move_by(dz_um=dz_um)
        self.position_um()

    def position_um(self) -> float:
        z_um = self.focus.position_um()
        self.read_um.append(z_um)
        return z_um


@dataclass
class Trial:
    """An engine on a tilted slide."""

    engine: Rig
    onlooker: Onlooker
    focus: LoggedFocus
    client: MicroscopeClient
    microscope: Microscope


@contextmanager
def trial(
    folder: Path,
    *,
    size: int = 64,
    lock_timeout_s: float = 0.3,
    z_um: tuple[float, float] | None = None,
    step_adu: tuple[float, float] | None = None,
    localizer: FakeLocalizer | None = None,
    lock: Mapping[str, object] = MappingProxyType({}),
    **options: object,
) -> Iterator[Trial]:
    """Run a microscope with a slide as told, and an engine on it.

    ``lock``: what the configuration says of it beside the packaged one.
    """
    chosen = {"noise": "fast", "time_scale": 200.0, "record_intervals": False}
    with simulated_here(folder, size=size, **(chosen | options)) as bench:
        data = yaml.safe_load(bench.config.read_text())
        data["focus"]["lock"].update(timeout_s=lock_timeout_s, poll_ms=1.0, **lock)
        if z_um is not None:
            data["focus"]["z_um"] = list(z_um)
        for laser in data["lasers"]:  # thin slides are darker than tissue
            laser["sample"]["step_adu"] = step_adu
        bench.config.write_text(yaml.safe_dump(data))
        with opened(bench.config, folder) as hardware:
            onlooker = Onlooker(hardware.camera, bench.client)
            focus = LoggedFocus(hardware.focus)
            hardware.camera, hardware.focus = onlooker, focus
            (data_folder := folder / "data").mkdir(exist_ok=True)
            with rig(
                data_folder,
                microscope=hardware,
                localizer=localizer,
                config=load(bench.config),
            ) as engine:
                yield Trial(engine, onlooker, focus, bench.client, bench.microscope)


def order(focus: dict[str, object], *, frames: int = FRAMES, **grid) -> RunRequest:
    """Return a run of one signal channel with a way to focus."""
    channel = {"name": "561", "probe": "HER2", "laser_nm": 561, "role": "signal"}
    channel |= {"power_percent": 40, "exposure_ms": 30, "frames": frames}
    grid.setdefault("centre", [0.0, 0.0])
    body = {"name": "focus", "grid": grid, "channels": [channel], "focus": focus}
    return request(plan=Protocol.model_validate(body))


def mean_picture(engine: Rig, run: str, name: str) -> npt.NDArray[np.float64]:
    """Return the mean of a unit's frames on disk."""
    folder = engine.station.data.run(run)
    key = UnitKey(run=run, field=name, channel="561", attempt=1)
    blocks = read_ledger(folder.ledger, field=name)[key].records()
    frames = [raw.read_block(folder.raw(key), block) for block in blocks]
    return np.concatenate(frames).mean(axis=0)


@dataclass(frozen=True)
class Width:
    """How wide the spots of a picture are."""

    px: float
    """Median of Gaussian fits; nan without enough spots."""
    own: float
    """Median over that in focus which the same spots would have by the tilt alone, with
    the middle of the frame in focus."""


def width(
    picture: npt.NDArray[np.float64],
    least: int = 2,
    *,
    strip: float = 1.0,
    across_um: float = 0.0,
) -> Width:
    """Return how wide bright spots are.

    ``strip``: of the width of the picture, the part around its middle that is looked
    at: a slide that is tilted along x is in focus there alone. ``across_um``: its tilt
    from one edge of the picture to the other.
    """
    fine, coarse = (ndimage.gaussian_filter(picture, sd) for sd in (1.0, 3.0))
    spots = fine - coarse
    noise = 1.4826 * np.median(np.abs(spots))
    tops = spots == ndimage.maximum_filter(spots, 2 * BOX + 1)
    found = []
    for y, x in np.argwhere(tops & (spots > 15.0 * noise)):
        aside = (x + 0.5) / picture.shape[1] - 0.5
        if abs(2.0 * aside) > strip:
            continue
        box = picture[y - BOX : y + BOX + 1, x - BOX : x + BOX + 1]
        if box.shape == (2 * BOX + 1, 2 * BOX + 1):
            found.append((_sigma_px(box), np.hypot(1.0, aside * across_um / DEPTH_UM)))
    sound = [(sigma, own) for sigma, own in found if 0.3 < sigma < 6.0]
    if len(sound) < least:
        return Width(float("nan"), float("nan"))
    px, own = np.median(sound, axis=0)
    return Width(float(px), float(own))


def _sigma_px(box: npt.NDArray[np.float64]) -> float:
    y, x = np.mgrid[-BOX : BOX + 1, -BOX : BOX + 1]

    def off(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        shape = np.exp(-((y - p[0]) ** 2 + (x - p[1]) ** 2) / (2.0 * p[2] ** 2))
        return np.ravel(p[3] * shape + p[4] - box)

    start = [0.0, 0.0, 1.0, box.max() - box.min(), box.min()]
    return float(abs(optimize.least_squares(off, start, max_nfev=60).x[2]))
