"""What a run in progress reads on its gauges: light, buffer, disk, focus, nuclei.

Tells of nuclei how many can be scored and how well they are seen, and never a count of
signals: a running ratio invites peeking and unblinds the second observer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING

from her2sr_acq.engine.device_views import DevicesView
from her2sr_acq.engine.states import FINAL, RunState
from her2sr_acq.engine.views import FieldView, Health, RunView, UnitView
from her2sr_acq.errors import AcqError
from her2sr_acq.service.left_out import is_left_out
from her2sr_proc.errors import ProcError
from her2sr_proc.schema.manifest import Manifest
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.manifest import read_manifest
from her2sr_proc.store.results import read_field

if TYPE_CHECKING:
    from her2sr_acq.service.context import Context

PIXEL_BYTES = 2
SHORT = ("partial", "failed", "skipped")
"""States of a burst that has not what was asked of it, and never will by itself."""
FEW_HOURS = 2.0
"""Of room on the disk, below which the page warns."""


@dataclass(frozen=True, slots=True)
class Light:
    """How the laser lines stand; asked of the guard when the page was made."""

    lit: tuple[str, ...] = ()
    """Lines with a permit and the power asked for, as '561 nm 40 %'."""
    doubt: str = ""
    """Why the light is not known to be as it seems; empty: it is."""


@dataclass(frozen=True, slots=True)
class Nuclei:
    """Nuclei of the fields that are computed."""

    scorable: int
    found: int
    quality: float | None
    """Median of the scorable ones, 0 to 1."""
    fields: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """What is wrong, and which cure the page's table of strings holds for it."""

    text: str
    cure: str


@dataclass(frozen=True, slots=True)
class Gauges:
    """All of them, at one moment."""

    light: Light
    temperature: tuple[str, str] | None
    """Of the camera and when it was read; None: the camera told none."""
    buffered: int
    """Frames of the burst in progress that are not on disk yet."""
    unpublished: int
    """Frames of it on disk that the bus did not take: read from disk later."""
    hours_left: float | None
    """Of room on the disk at the present rate, uncompressed."""
    focus: tuple[tuple[str, float], ...]
    """Unit and position of the drive in micrometres, in order."""
    focus_points: str
    nuclei: Nuclei
    alarms: tuple[Alarm, ...]


def read_gauges(
    context: Context, run: RunView, fields: Sequence[FieldView], health: Health | None
) -> Gauges:
    """Return the gauges of a run; what cannot be asked now is told as unknown."""
    try:
        folder = context.archive.folder(run.folder)
    except AcqError:  # a run that waits has none yet
        folder = None
    manifest = _manifest_of(folder) if folder else None
    units = [unit for field in fields for unit in field.units]
    now_unit = _current(run, units)
    light = _light(context, manifest)
    focus = tuple(
        (f"{unit.field}/{unit.channel}", unit.focus.z_um)
        for unit in units
        if unit.focus is not None
    )
    chosen = manifest.selection if manifest else None
    fewer = frozenset(chosen.skipped) if chosen else frozenset()
    missed = [
        unit
        for unit in units
        if not is_left_out(unit.field, unit.state, unit.attempt, fewer)
    ]
    hours = hours_left(run, manifest, context.now(), health)
    return Gauges(
        light=light,
        temperature=_temperature(context, health),
        buffered=max(0, now_unit.delivered - now_unit.written) if now_unit else 0,
        unpublished=max(0, now_unit.written - now_unit.published) if now_unit else 0,
        hours_left=hours,
        focus=focus,
        focus_points=points([z_um for _, z_um in focus]),
        nuclei=scorable(folder, (field.name for field in fields)),
        alarms=tuple(_alarms(run, missed, health, light, hours)),
    )


def hours_left(
    run: RunView, manifest: Manifest | None, now: datetime, health: Health | None
) -> float | None:
    """Return how long the disk lasts at the mean rate of the run so far."""
    if manifest is None or health is None or run.started_utc is None:
        return None
    elapsed_s = (now - datetime.fromisoformat(run.started_utc)).total_seconds()
    if elapsed_s <= 0 or not run.frames_done:
        return None
    frame_bytes = PIXEL_BYTES * manifest.frame_height * manifest.frame_width
    rate = run.frames_done * frame_bytes / elapsed_s
    return health.free_bytes / rate / 3600.0


def points(
    values: Sequence[float], *, width: float = 300.0, height: float = 60.0
) -> str:
    """Return a trace as points of an SVG polyline, the largest value on top."""
    if not values:
        return ""
    if len(values) == 1:  # one point alone would draw nothing
        values = [*values, *values]
    low, span = min(values), max(values) - min(values)
    step = width / (len(values) - 1)
    return " ".join(
        f"{step * n:.1f},{height * ((low + span - v) / span if span else 0.5):.1f}"
        for n, v in enumerate(values)
    )


def scorable(run: RunFolder | None, fields: Iterable[str]) -> Nuclei:
    """Return how many nuclei can be scored so far; no signal is counted here."""
    found = 0
    qualities: list[float] = []
    computed = 0
    for name in fields:
        facts = _of_field(run, name)
        if facts is None:
            continue
        computed += 1
        found += facts[0]
        qualities.extend(facts[1])
    return Nuclei(
        scorable=len(qualities),
        found=found,
        quality=median(qualities) if qualities else None,
        fields=computed,
    )


def _of_field(
    run: RunFolder | None, field: str
) -> tuple[int, tuple[float, ...]] | None:
    return _field_nuclei(run, field, _stamp(run, field)) if run else None


def _stamp(run: RunFolder, field: str) -> int:
    try:
        return run.field_result(field).stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=1024)
def _field_nuclei(
    run: RunFolder, field: str, stamp: int
) -> tuple[int, tuple[float, ...]] | None:
    """Return nuclei found, and qualities of those accepted; read once a change."""
    if not stamp:
        return None
    try:
        result = read_field(run, field)
    except (ProcError, OSError):
        return None
    if result is None:
        return None
    accepted = tuple(n.quality for n in result.nuclei if not n.excluded)
    return len(result.nuclei), accepted


@lru_cache(maxsize=16)
def _manifest(run: RunFolder, stamp: int) -> Manifest | None:
    try:
        return read_manifest(run) if stamp else None
    except (ProcError, OSError):
        return None


def _manifest_of(run: RunFolder) -> Manifest | None:
    try:
        return _manifest(run, run.manifest.stat().st_mtime_ns)
    except OSError:
        return None


def _current(run: RunView, units: Sequence[UnitView]) -> UnitView | None:
    """Return the burst in progress; of several attempts the last."""
    named = [u for u in units if f"{u.field}/{u.channel}" == run.current]
    return named[-1] if named else None


def _light(context: Context, manifest: Manifest | None) -> Light:
    try:
        status = context.guard.status()
    except AcqError as exc:
        return Light(doubt=str(exc))
    powers = (
        {c.laser_nm: c.power_percent for c in manifest.channels} if manifest else {}
    )
    lit = tuple(
        f"{nm} nm {powers[nm]:g} %" if nm in powers else f"{nm} nm"
        for nm in status.lit_nm
    )
    return Light(lit=lit, doubt=status.light_in_doubt)


def _temperature(context: Context, health: Health | None) -> tuple[str, str] | None:
    if health is None or not health.active_run:
        return None  # between runs the devices would be read at every look
    try:
        devices: DevicesView = context.control.devices()
    except AcqError:
        return None
    for device in devices.devices:
        for name, value in device.values.items():
            if device.role == "camera" and "temperature" in name.lower():
                return value, devices.taken_utc
    return None


def _alarms(
    run: RunView,
    units: Sequence[UnitView],
    health: Health | None,
    light: Light,
    hours: float | None,
) -> Iterable[Alarm]:
    if light.doubt:
        yield Alarm(light.doubt, "run.cure_light")
    if health is not None and health.latched:
        yield Alarm(health.latched, "run.cure_latched")
    for trouble in health.troubles if health else ():
        yield Alarm(trouble, "run.cure_trouble")
    if run.reason:
        cure = "run.cure_stopped" if run.state == "aborted" else "run.cure_reason"
        yield Alarm(run.reason, cure)
    if hours is not None and hours < FEW_HOURS:
        yield Alarm(f"the disk is full in {hours:.1f} h", "run.cure_disk")
    short = [u for u in units if u.reason and u.state in SHORT]
    if run.state in FINAL:  # the morning page lists them; nothing goes on here
        if short:
            yield Alarm(f"{len(short)} bursts are incomplete", "run.cure_ended")
        return
    cure = "run.cure_held" if run.state == RunState.PAUSED else "run.cure_unit"
    for unit in short:
        yield Alarm(f"{unit.field}/{unit.channel}: {unit.reason}", cure)
