"""Looks at every tile of a grid once, by a few pictures of low light, and scores it.

A tile that was looked at is not lit again: its picture on disk says so, also after a
crash. Scores come from the localizer, or, without it, from the pictures' structure.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from her2sr_acq.devices.ports import Frame
from her2sr_acq.engine.burst import Burst
from her2sr_acq.engine.enquiry import Enquiry, TileNuclei, Unknown
from her2sr_acq.engine.hold import HoldError
from her2sr_acq.engine.order import RunOrder
from her2sr_acq.engine.reins import Reins
from her2sr_acq.engine.station import Station
from her2sr_acq.engine.stitch import F32, stitched, thumb_of
from her2sr_acq.engine.structure import LEAST_E, structure_of
from her2sr_acq.engine.tracker import Tracker
from her2sr_acq.errors import AcqError, FocusError, StorageError
from her2sr_acq.plan.models import overview_channel
from her2sr_acq.plan.select import SelectPlan
from her2sr_acq.plan.tiling import frame_um
from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.schema.selection import Overview, TileScore
from her2sr_proc.store.atomic import write_text
from her2sr_proc.store.images import PreviewStyle, read_tiff, write_preview, write_tiff
from her2sr_proc.store.layout import RunFolder

log = logging.getLogger(__name__)

F64 = npt.NDArray[np.float64]

ANSWER_S = 60.0
"""After the last tile the localizer has so long to name the nuclei of all."""
POLL_S = 0.2
LEAST_STRUCTURE = 0.05
"""Contrast below which a picture shows glass, and no tissue."""
IN_A_ROW = 3
"""So many tiles that are not reached, one after the other, hold the run."""
PREVIEW_PX = 512


class Overviewer:
    """Takes the overview of one run. Owned by the engine's thread."""

    def __init__(
        self,
        station: Station,
        order: RunOrder,
        tracker: Tracker,
        reins: Reins,
        *,
        burst: Burst,
        enquiry: Enquiry,
    ) -> None:
        self._station = station
        self._order = order
        self._tracker = tracker
        self._reins = reins
        self._burst = burst
        self._enquiry = enquiry
        self._folder: RunFolder = station.data.run(order.id)
        self._thumbs: dict[str, F32] = {}
        self._seen: dict[str, TileScore] = {}
        self._lost: dict[str, str] = {}
        self._nuclei: dict[str, TileNuclei] = {}
        self._silence: Unknown | None = None

    def take(
        self,
        plan: SelectPlan,
        *,
        reach: Callable[[FieldFacts], None],
        judge: Callable[[AcqError | None], None],
    ) -> Overview:
        """Return what is known of every tile, looking at those not looked at yet.

        ``reach`` goes to a tile, into its focus, or raises; ``judge`` raises what a
        fault of a burst means for the run. Raises `HoldError` for whatever holds the
        run.
        """
        if self._folder.overview.exists():
            return Overview.model_validate_json(self._folder.overview.read_text())
        if not plan.overview:
            return self._unseen()
        began = self._station.clock.monotonic()
        for number, tile in enumerate(self._order.tiles, 1):
            self._tracker.enter(
                f"overview, tile {number} of {len(self._order.tiles)}",
                current=tile.name,
            )
            self._look(tile, plan, reach, judge)
            self._ask(tile.name)
        self._tracker.enter("scoring the overview")
        self._await_nuclei()
        overview = self._scored(took_s=self._station.clock.monotonic() - began)
        self._keep(overview)
        return overview

    def _look(
        self,
        tile: FieldFacts,
        plan: SelectPlan,
        reach: Callable[[FieldFacts], None],
        judge: Callable[[AcqError | None], None],
    ) -> None:
        """Take a tile's picture, unless it is on disk or cannot be had."""
        if tile.name in self._seen:
            return
        path = self._folder.overview_image(tile.name)
        if path.exists():
            self._note(tile, np.asarray(read_tiff(path), np.float64))
            return
        try:
            reach(tile)
        except FocusError as exc:
            self._lose(tile, exc)
            return
        taken = self._pictures(tile, plan, judge)
        if taken is None:
            return
        try:
            write_preview(
                self._folder.overview_preview(tile.name),
                taken,
                PreviewStyle(pixel_nm=self._pixel_nm, longest_px=PREVIEW_PX),
            )
            write_tiff(path, taken.astype(np.float32), pixel_nm=self._pixel_nm)
        except OSError as exc:
            raise HoldError(f"the overview cannot be written: {exc.strerror}") from exc
        self._note(tile, taken)

    def _pictures(
        self,
        tile: FieldFacts,
        plan: SelectPlan,
        judge: Callable[[AcqError | None], None],
    ) -> F64 | None:
        """Return the mean picture in photo-electrons; None for one that is not whole.

        Raises `HoldError` at a stop.
        """
        frames: list[F64] = []

        def add(frame: Frame) -> bool:
            frames.append(frame.adu.astype(np.float64))
            return True

        channel = overview_channel(plan)
        outcome = self._burst.take(
            tile, channel, self._order.protocol.camera, add, purpose="overview"
        )
        if isinstance(outcome.fault, StorageError):
            self._station.room.give_up_reserve()
        judge(outcome.fault)
        if self._reins.stopped.is_set():
            raise HoldError("stopped on request")
        if outcome.fault is not None or len(frames) < plan.frames:
            self._lose(tile, outcome.fault or AcqError("frames are missing"))
            return None
        model = self._station.config.camera.model
        mean = np.mean(frames, axis=0) - model.offset_adu
        return np.asarray(mean * model.e_per_adu, np.float64)

    def _lose(self, tile: FieldFacts, fault: AcqError) -> None:
        self._tracker.note("no overview picture", field=tile.name, why=str(fault))
        self._lost[tile.name] = f"no overview picture: {fault}"
        last = [t.name for t in self._order.tiles][: self._place(tile) + 1][-IN_A_ROW:]
        if len(last) == IN_A_ROW and all(name in self._lost for name in last):
            for name in last:
                del self._lost[name]  # they have their turn again after a resume
            raise HoldError(
                f"{IN_A_ROW} tiles in a row gave no overview picture ({fault}); check "
                f"stage and camera, then resume"
            )

    def _place(self, tile: FieldFacts) -> int:
        return self._order.tiles.index(tile)

    def _note(self, tile: FieldFacts, light_e: F64) -> None:
        mean = float(light_e.mean())
        structure = structure_of(light_e, pixel_um=self._pixel_nm / 1000.0)
        self._thumbs[tile.name] = thumb_of(light_e)
        self._seen[tile.name] = TileScore(
            field=tile.name,
            seen=True,
            light_e=round(mean, 3),
            structure=round(structure, 5),
            holds_tissue=mean >= LEAST_E,
            why="" if mean >= LEAST_E else "its overview picture is dark",
        )

    def _ask(self, field: str) -> None:
        """Have the localizer begin on a tile; once it is silent, wait no more."""
        if field in self._seen and field not in self._nuclei and self._silence is None:
            found = self._enquiry.overview(self._order.id, field)
            if isinstance(found, Unknown):
                self._silence = found
            elif found is not None:
                self._nuclei[field] = found

    def _await_nuclei(self) -> None:
        until = self._station.clock.monotonic() + ANSWER_S
        while self._silence is None:
            for field in self._seen:
                self._ask(field)
            if len(self._nuclei) == len(self._seen):
                return
            if self._station.clock.monotonic() >= until:
                why = f"no answer about every tile within {ANSWER_S:g} s"
                self._silence = Unknown(why, "tiles are compared by their structure")
                return
            self._station.guard.pulse()
            self._reins.rest(POLL_S)
            if self._reins.stopped.is_set():
                raise HoldError("stopped on request")

    def _scored(self, *, took_s: float) -> Overview:
        by_nuclei = self._silence is None
        tiles = []
        for tile in self._order.tiles:
            seen = self._seen.get(tile.name)
            if seen is None:
                tiles.append(_unknown(tile.name, self._lost.get(tile.name, "")))
            elif by_nuclei:
                tiles.append(_by_nuclei(seen, self._nuclei[tile.name]))
            else:
                tiles.append(_by_structure(seen))
        return Overview(
            run=self._order.id,
            utc=self._station.clock.stamp(),
            scored_by="nuclear area" if by_nuclei else "structure",
            fall_back="" if self._silence is None else self._silence.why,
            took_s=round(took_s, 3),
            tiles=tuple(tiles),
        )

    def _keep(self, overview: Overview) -> None:
        """Write the picture of the whole grid and the scores, these last."""
        picture, pixel_um = stitched(self._thumbs, self._order.tiles, self._size_um)
        style = PreviewStyle(pixel_nm=1000.0 * pixel_um, longest_px=4096)
        try:
            write_preview(self._folder.overview_mosaic, picture, style)
            text = overview.model_dump_json(indent=1)
            write_text(self._folder.overview, text + "\n")
        except OSError as exc:
            raise HoldError(f"the overview cannot be written: {exc.strerror}") from exc
        self._tracker.note(
            "overview",
            tiles=len(overview.tiles),
            with_tissue=sum(tile.holds_tissue for tile in overview.tiles),
            scored_by=overview.scored_by,
            fall_back=overview.fall_back,
            took_s=overview.took_s,
        )

    def _unseen(self) -> Overview:
        return Overview(
            run=self._order.id,
            utc=self._station.clock.stamp(),
            scored_by="nothing",
            tiles=tuple(_unknown(tile.name, "") for tile in self._order.tiles),
        )

    @property
    def _pixel_nm(self) -> float:
        return self._station.config.camera.model.pixel_nm

    @property
    def _size_um(self) -> tuple[float, float]:
        camera = self._station.config.camera
        return frame_um(
            height=camera.height, width=camera.width, pixel_nm=camera.model.pixel_nm
        )


def _unknown(field: str, why: str) -> TileScore:
    """Return a tile that nobody saw: it counts as tissue, so that none is lost."""
    return TileScore(field=field, seen=False, holds_tissue=True, why=why)


def _by_nuclei(seen: TileScore, found: TileNuclei) -> TileScore:
    is_empty = found.nuclei == 0
    why = seen.why or ("no nucleus in its overview picture" if is_empty else "")
    return seen.model_copy(
        update={
            "nuclei": found.nuclei,
            "nuclear_share": found.share,
            "score": found.share,
            "holds_tissue": not why,
            "why": why,
        }
    )


def _by_structure(seen: TileScore) -> TileScore:
    is_empty = seen.structure < LEAST_STRUCTURE
    why = seen.why or ("its overview picture shows no tissue" if is_empty else "")
    return seen.model_copy(
        update={"score": seen.structure, "holds_tissue": not why, "why": why}
    )
