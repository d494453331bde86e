"""Keeps a run in focus: finds it, field by field, as the protocol asks, and looks on.

Knows when to ask the lock, the pictures or the map, what was found where, and since
when the present focus holds. A field that cannot be focused is a `FocusError`; what
follows from it is decided elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from her2sr_acq.engine.autofocus import ImageFocus
from her2sr_acq.engine.burst import Burst
from her2sr_acq.engine.focus_watch import FocusWatch
from her2sr_acq.engine.ground import Ground, Guess
from her2sr_acq.engine.order import RunOrder
from her2sr_acq.engine.planes import Planes
from her2sr_acq.engine.relock import Relock
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.surface import Point, Surface, rank
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.errors import FocusError
from her2sr_proc.schema.manifest import FieldFacts

log = logging.getLogger(__name__)

FORESEEN_FROM = 4
"""So many fields in focus tell where the next will be."""
RECENT = 16
"""Fields of the past that are asked: the slide drifts."""
TRUSTED_UM = 0.5
"""Residual up to which they do."""
REACHED_SD = 2.5
"""Errors of what is expected that a search has to reach to set out from there."""
GLANCED_SD_UM = 0.3
"""Error up to which a tile is looked at without pictures to focus by: nuclei are
micrometres thick."""
FOLLOWED_SD_UM = 0.06
"""Error up to which a field is focused without pictures of its own."""


class Focuser:
    """The focus of one run. Owned by the engine's thread."""

    def __init__(
        self, station: Station, order: RunOrder, tracker: Tracker, burst: Burst
    ) -> None:
        self._station = station
        self._plan = order.protocol.focus
        self._camera = order.protocol.camera
        self._tracker = tracker
        self.burst = burst
        hardware, config = station.hardware, station.config
        self._drive = hardware.focus
        self._lock = hardware.lock if self._plan.method == "hardware" else None
        self.planes = Planes(
            self._drive,
            self._lock,
            config.focus,
            light=burst.light,
            clock=station.clock,
        )
        self._image = ImageFocus(burst, self._drive, self._plan, config, station.clock)
        self._places = {tile.name: n for n, tile in enumerate(order.tiles)}
        self._points: list[Point] = []
        self._surface: Surface | None = None
        self._since_utc = station.clock.stamp()
        self._owes = False
        self._ground = Ground()

    def measure(
        self, tiles: Sequence[FieldFacts], go: Callable[[FieldFacts], None]
    ) -> None:
        """Make the focus map, where there is to be one and is none yet.

        ``go`` moves the stage to a field, or raises. Raises `FocusError` when no map
        can be made of what was measured.
        """
        if not self.owes_map or not tiles:
            return
        points = []
        due = [t for t in tiles if self._plan.is_due(self._places[t.name])]
        for tile in due or tiles:
            try:
                go(tile)
                z_um = self._image.find(tile, self._camera)
            except FocusError as exc:
                self._tracker.note("focus not found", field=tile.name, why=str(exc))
            else:
                points.append(Point(tile.x_um, tile.y_um, z_um))
        self._surface = self._map(points, tiles)
        self._tracker.note(
            "focus map",
            shape=self._surface.kind,
            points=len(points),
            outliers=self._surface.outliers,
            residual_um=round(self._surface.residual_um, 4),
            slope_mrad=round(self._surface.slope_mrad, 3),
        )

    def foresee(self, tile: FieldFacts) -> None:
        """Raise `FocusError` for a field whose focus lies beyond the drive's limits.

        Told from the fields before it, so that nothing moves and nothing is lit there.
        """
        if self._plan.method not in ("hardware", "image"):
            return
        if len(self._points) < FORESEEN_FROM:
            return
        try:
            surface = Surface(self._points[-RECENT:])
        except FocusError:
            return
        if surface.residual_um <= TRUSTED_UM:
            self._require_within(tile, surface.z_um(tile.x_um, tile.y_um))

    def focus(self, tile: FieldFacts) -> None:
        """Bring a field into focus; the stage is there. Raises `FocusError`."""
        if self._plan.method == "none":
            return
        before_um = self._drive.position_um()
        if self._lock is not None:
            is_new = self._by_lock(tile)
        elif self._plan.method == "image":
            is_new = self._by_image(tile)
        else:
            is_new = self._by_map(tile)
        z_um = self._drive.position_um()
        if is_new:
            self._since_utc = self._station.clock.stamp()
            self._tracker.note(
                "focus found",
                field=tile.name,
                method=self._plan.method,
                z_um=round(z_um, 3),
                moved_um=round(z_um - before_um, 3),
            )
        self._points = [
            *self._points[1 - RECENT :],
            Point(tile.x_um, tile.y_um, z_um),
        ]

    @property
    def owes_map(self) -> bool:
        """Whether a map is asked for and not made."""
        return self._plan.method == "map" and self._surface is None

    def glance(self, tile: FieldFacts) -> None:
        """Bring a tile about into focus for a look, by as few pictures as will do.

        Where pictures show nothing to focus on, the focus stays as the tiles before
        say. Raises `FocusError` where the lock or the drive cannot go there.
        """
        if self._plan.method != "image":
            self.focus(tile)
            return
        expected = self._ground.guess(tile, self._station.clock.monotonic())
        if self._ground.fields and expected.sd_um <= GLANCED_SD_UM:
            self._step_to(tile, expected.z_um)
            return
        try:
            self._search(tile)
        except FocusError as exc:
            self._tracker.note("focus not found", field=tile.name, why=str(exc))

    def watch(self, z_offset_um: float = 0.0) -> FocusWatch:
        """Return what looks after the focus during one unit, in its own plane."""
        lock = self._lock
        return FocusWatch(
            method=self._plan.method,
            held_since_utc=self._since_utc,
            read_um=self._drive.position_um,
            is_held=(lambda: True) if lock is None else lock.is_locked,
            z_offset_um=z_offset_um,
        )

    def require_held(self, tile: FieldFacts) -> None:
        """Find the focus of a field again if its lock let go since the last unit."""
        if self._lock is not None and not self._lock.is_locked():
            self._tracker.note("focus lost", field=tile.name, state=self._lock.state())
            self.focus(tile)

    def _by_lock(self, tile: FieldFacts) -> bool:
        assert self._lock is not None
        config = self._station.config.focus
        assert config.lock is not None
        search = Relock(
            self._lock,
            self._drive,
            step_um=config.lock.step_um,
            reach_um=self._plan.reach_um if config.lock.remembers_plane else 0.0,
            limits_um=config.z_um,
        )
        if self._lock.is_locked() and not self._plan.is_due(self._places[tile.name]):
            search.require_within()
            return False
        was_locked = self._lock.is_locked()
        steps_um = search.search(self.burst.light.guard.pulse)
        return not was_locked or steps_um != 0.0

    def _by_image(self, tile: FieldFacts) -> bool:
        # Without a focus found before, the first field has its turn whatever is due.
        # So has the field after one that was not found.
        is_due = self._plan.is_due(self._places[tile.name])
        if self._points and not is_due and not self._owes:
            try:
                return self._follow(tile)
            except FocusError as exc:
                log.info("%s is measured out of turn: %s", tile.name, exc)
        self._owes = True
        self._search(tile)
        self._owes = False
        return True

    def _search(self, tile: FieldFacts) -> None:
        self._set_out(tile)
        self._image.find(
            tile,
            self._camera,
            lambda seen: self._weigh(tile, seen),
            drift=self._ground.drift,
        )

    def _weigh(self, tile: FieldFacts, seen: Guess) -> float:
        """Return the height of a field from its pictures and the fields before it.

        Raises `FocusError` where they contradict each other: something else than the
        section may be what is sharp there. The next field is believed again, since it
        may be the slide that was moved.
        """
        now_s = self._station.clock.monotonic()
        if not self._ground.agrees(tile, now_s, seen):
            expected = self._ground.guess(tile, now_s)
            self._ground.doubt()
            raise FocusError(
                f"its pictures are sharpest at z = {seen.z_um:.2f} um, and the fields "
                f"before it say {expected.z_um:.2f} um; look what lies on the slide"
            )
        z_um = self._ground.learn(tile, now_s, seen).z_um
        self._require_within(tile, z_um)
        return z_um

    def _set_out(self, tile: FieldFacts) -> None:
        """Begin the search where the fields in focus say, if they say it well enough.

        Without that, a field or two that show nothing would leave the focus behind the
        tilt of the slide for good.
        """
        expected = self._ground.guess(tile, self._station.clock.monotonic())
        if self._ground.fields and expected.sd_um <= self._plan.reach_um / REACHED_SD:
            self._step_to(tile, expected.z_um)

    def _follow(self, tile: FieldFacts) -> bool:
        """Go where the last fields measured say that the focus is; tell if it moved."""
        expected = self._ground.guess(tile, self._station.clock.monotonic())
        if not (self._ground.fields and expected.sd_um <= FOLLOWED_SD_UM):
            raise FocusError(
                f"the fields before tell its height within {expected.sd_um:.2f} um only"
            )
        self._step_to(tile, expected.z_um)
        return True

    def _by_map(self, tile: FieldFacts) -> bool:
        assert self._surface is not None
        self._step_to(tile, self._surface.z_um(tile.x_um, tile.y_um))
        return True

    def _step_to(self, tile: FieldFacts, z_um: float) -> None:
        self._require_within(tile, z_um)
        self._drive.move_by(dz_um=z_um - self._drive.position_um())

    def _map(self, points: Sequence[Point], tiles: Sequence[FieldFacts]) -> Surface:
        """Return a surface that tells of every field, each within the drive's reach."""
        if rank(points) < rank(tiles):
            raise FocusError(
                f"{len(points)} fields were measured, too few or on one line, and do "
                f"not tell how the others lie; measure more with a smaller focus.every"
            )
        surface = Surface(points)
        for tile in tiles:
            self._require_within(tile, surface.z_um(tile.x_um, tile.y_um))
        return surface

    def _require_within(self, tile: FieldFacts, z_um: float) -> None:
        low, high = self._station.config.focus.z_um
        if not low <= z_um <= high:
            raise FocusError(
                f"the focus of {tile.name} would be at z = {z_um:.1f} um, and the "
                f"drive goes from {low:g} to {high:g} um: the tilt is too steep; level "
                f"the slide, or take fewer fields"
            )
