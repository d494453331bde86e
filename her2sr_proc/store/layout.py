"""The only place with file names: where everything of a run stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from her2sr_proc.schema.block import UnitKey
from her2sr_proc.schema.params import ProfileName

RawForm = Literal["ome-zarr", "ome-tiff"]
RAW_SUFFIXES: dict[RawForm, str] = {"ome-zarr": ".ome.zarr", "ome-tiff": ".ome.tif"}
FLUCTUATIONS = ("fluctuation_fine", "fluctuation_coarse")
"""Kinds of images that the counter reads, in the order of its two smoothings."""
APART = "profiles"
"""Folder of what other profiles than the run's own make."""
MADE = ("localizations", "images", "nuclei", "results")
"""Folders of what a profile makes; the report is made of them."""
NOT_SAID = frozenset({"raw", "exports", "report.html", APART, *MADE})
"""All in a run folder that neither people nor the microscope said, or that is frames.
Whatever is not named here a profile's answer may read."""
_RAW_NAME = re.compile(
    r"^(?P<channel>[A-Za-z0-9_-]+)(?:\.a(?P<attempt>\d+))?\.ome\.(?:zarr|tif)$"
)


_TABLE_NAME = re.compile(
    r"^(?P<channel>[A-Za-z0-9_-]+)(?:\.a(?P<attempt>\d+))?\.parquet$"
)


def _stem(channel: str, attempt: int) -> str:
    return channel if attempt == 1 else f"{channel}.a{attempt}"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run; nothing is created by asking for a path."""

    root: Path
    profile: ProfileName | None = None
    """What is computed by another profile than the run's own stands apart; None: by
    the run's own."""
    denoised: str = ""
    """By which Noise2Void models frames were cleaned before the fit: the digest of all
    of them (`Denoising.digest`). Stands apart too; empty: by none."""

    @property
    def name(self) -> str:
        """The run's id: the folder's name."""
        return self.root.name

    @property
    def made(self) -> Path:
        """Where everything computed stands."""
        if self.profile is None:
            return self.root
        name = f"{self.profile}-n2v-{self.denoised}" if self.denoised else self.profile
        return self.root / APART / name

    @property
    def denoising(self) -> Path:
        """Which model cleaned the frames of which channel; written first."""
        return self.made / "denoising.json"

    def model(self, channel: str) -> Path:
        """A copy of the model of a channel, so that any worker finds it."""
        return self.made / "models" / f"{channel}.zip"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.jsonl"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def dose(self) -> Path:
        """Every exposure of the run, whatever for, a line each."""
        return self.root / "dose.jsonl"

    @property
    def report(self) -> Path:
        return self.made / "report.html"

    @property
    def results(self) -> Path:
        return self.made / "results"

    @property
    def result(self) -> Path:
        return self.results / "result.json"

    @property
    def times(self) -> Path:
        """How long the steps took; apart, since a result is the same however long."""
        return self.results / "times.json"

    @property
    def counts(self) -> Path:
        return self.results / "counts.csv"

    @property
    def case(self) -> Path:
        """What people said of this run: marks, counts, IHC, signatures."""
        return self.root / "review" / "case.jsonl"

    @property
    def camera_maps(self) -> Path:
        """The camera, pixel by pixel, that the frames were taken with."""
        return self.root / "calibration" / "camera_maps.npz"

    @property
    def simulated_truth(self) -> Path:
        """The truth of a simulated specimen; only the comparison reads it."""
        return self.root / "simulated_truth"

    def field_result(self, field: str) -> Path:
        return self.results / "fields" / f"{field}.json"

    def raw(self, unit: UnitKey, form: RawForm | None = None) -> Path:
        """The raw frames of one unit and attempt.

        Without ``form`` the one that is there; OME-Zarr when neither is.
        """
        if form is None:
            tiff = self.raw(unit, "ome-tiff")
            zarr = self.raw(unit, "ome-zarr")
            return tiff if tiff.exists() and not zarr.exists() else zarr
        name = _stem(unit.channel, unit.attempt) + RAW_SUFFIXES[form]
        return self.root / "raw" / unit.field / name

    def raw_forms(self, unit: UnitKey) -> tuple[Path, ...]:
        """All that the table of one unit can be made of, whatever of it is there."""
        return (
            *(self.raw(unit, form) for form in RAW_SUFFIXES),
            self.raw_nuclei(unit),
            self.raw_nuclei_fill(unit),
        )

    def raw_kept(self, unit: UnitKey, every_nth: int) -> Path:
        """Every n-th raw frame of a unit whose others were discarded."""
        name = f"{_stem(unit.channel, unit.attempt)}.every{every_nth}.ome.zarr"
        return self.root / "raw" / unit.field / name

    def raw_nuclei(self, unit: UnitKey) -> Path:
        """The raw frames of a unit around nuclei, whose other pixels were discarded."""
        name = f"{_stem(unit.channel, unit.attempt)}.nuclei.ome.zarr"
        return self.root / "raw" / unit.field / name

    def raw_nuclei_fill(self, unit: UnitKey) -> Path:
        """What stands for the pixels that were discarded."""
        name = f"{_stem(unit.channel, unit.attempt)}.nuclei_fill.tif"
        return self.root / "raw" / unit.field / name

    def focus_stack(self, unit: UnitKey) -> Path:
        """The pictures through the focus before the burst of one unit and attempt."""
        name = f"{_stem(unit.channel, unit.attempt)}.tif"
        return self.root / "focus_stacks" / unit.field / name

    def table(self, unit: UnitKey) -> Path:
        """The merged localization table of one unit and attempt."""
        name = f"{_stem(unit.channel, unit.attempt)}.parquet"
        return self.made / "localizations" / unit.field / name

    def tables(self, field: str) -> Iterator[UnitKey]:
        """Yield every unit and attempt of a field that has a table, by name."""
        for path in sorted((self.made / "localizations" / field).glob("*.parquet")):
            if (match := _TABLE_NAME.match(path.name)) is not None:
                yield UnitKey(
                    run=self.name,
                    field=field,
                    channel=match["channel"],
                    attempt=int(match["attempt"] or 1),
                )

    def table_parts(self, unit: UnitKey) -> Path:
        """The folder of tables by block, until they are merged."""
        return self.table(unit).with_suffix(".parts")

    def table_part(self, unit: UnitKey, block: int) -> Path:
        return self.table_parts(unit) / f"{block:06d}.parquet"

    def image(self, field: str, channel: str, kind: str) -> Path:
        """A TIFF image; ``kind`` is ``conventional`` or ``superresolution``."""
        return self.made / "images" / field / f"{channel}_{kind}.tif"

    def preview(self, field: str, channel: str, kind: str) -> Path:
        return self.image(field, channel, kind).with_suffix(".png")

    def noise(self, field: str, channel: str) -> Path:
        """How much of a camera's noise the frames carry."""
        return self.made / "images" / field / f"{channel}_noise.json"

    def overview_image(self, field: str) -> Path:
        """The mean picture of one tile of the overview."""
        return self.root / "images" / "overview" / f"{field}.tif"

    def overview_preview(self, field: str) -> Path:
        return self.overview_image(field).with_suffix(".png")

    @property
    def overview_mosaic(self) -> Path:
        """All tiles of the overview as one picture."""
        return self.root / "images" / "overview" / "overview.png"

    @property
    def overview(self) -> Path:
        """What the overview tells of every tile."""
        return self.root / "images" / "overview" / "overview.json"

    def mosaic(self, channel: str, kind: str) -> Path:
        """All fields of a channel as one picture at many scales (Deep Zoom)."""
        return self.made / "images" / "mosaic" / f"{channel}_{kind}.dzi"

    def labels(self, field: str) -> Path:
        return self.made / "nuclei" / f"{field}_labels.tif"

    @property
    def nuclei_geojson(self) -> Path:
        return self.made / "nuclei" / "nuclei.geojson"

    @property
    def exports(self) -> Path:
        """What `her2sr report` writes for other programs."""
        return self.root / "exports"

    def units(self) -> Iterator[UnitKey]:
        """Yield every unit and attempt that has raw frames, in order of name."""
        found: set[UnitKey] = set()
        for path in sorted((self.root / "raw").glob("*/*.ome.*")):
            match = _RAW_NAME.match(path.name)
            if match is None:
                continue
            key = UnitKey(
                run=self.name,
                field=path.parent.name,
                channel=match["channel"],
                attempt=int(match["attempt"] or 1),
            )
            if key not in found:
                found.add(key)
                yield key


def unit_at(path: Path) -> tuple[RunFolder, str, str, int] | None:
    """Return run, field, channel and attempt of what may be a unit's raw frames.

    None where the path is not one of a run folder; nothing of it need exist.
    """
    match = _RAW_NAME.match(path.name)
    if match is None or path.parent.parent.name != "raw":
        return None
    attempt = int(match["attempt"] or 1)
    return RunFolder(path.parents[2]), path.parent.name, match["channel"], attempt


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The paths of a data folder, which holds runs and the daemon's own state."""

    root: Path

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    def run(self, run_id: str) -> RunFolder:
        return RunFolder(self.runs / run_id)

    @property
    def database(self) -> Path:
        return self.root / "her2sr.db"

    def calibrations(self, kind: str) -> Path:
        """The folder of all calibrations of a kind."""
        return self.root / "calibration" / kind

    @property
    def accounts(self) -> Path:
        """Users, tokens, sessions, the lease and the audit of the service."""
        return self.root / "service.db"

    @property
    def notified(self) -> Path:
        """What people were told already of runs, latch and disk."""
        return self.root / "notified.json"

    @property
    def reserve(self) -> Path:
        """Kept room without content, given up when the disk is full."""
        return self.root / ".reserve"

    @property
    def daemon(self) -> Path:
        """Who holds this folder: a lock file with process id and address."""
        return self.root / "daemon.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def guard(self) -> Path:
        """The lock file of the one guard of this folder."""
        return self.root / "guard.lock"

    @property
    def latch(self) -> Path:
        """Why no light is permitted, while that is so."""
        return self.root / "latch.json"

    @property
    def safety(self) -> Path:
        """Every e-stop, latch, rearm and trip, one line each."""
        return self.root / "safety.jsonl"


@dataclass(frozen=True, slots=True)
class StatisticsFolder:
    """The paths of what `her2sr statistics` writes of a cohort."""

    root: Path

    @property
    def page(self) -> Path:
        return self.root / "statistics.html"

    @property
    def result(self) -> Path:
        return self.root / "statistics.json"

    @property
    def tests(self) -> Path:
        """Every test, one row each."""
        return self.root / "tests.csv"

    def table(self, key: str) -> Path:
        """A table, such as ``table1``, or the numbers behind a figure."""
        return self.root / f"{key}.csv"

    def figure(self, key: str, form: Literal["png", "svg"]) -> Path:
        return self.root / f"{key}.{form}"


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """The paths of what `her2sr study` makes."""

    root: Path

    @property
    def plan(self) -> Path:
        """What is simulated."""
        return self.root / "plan.json"

    @property
    def data(self) -> DataFolder:
        """The data folder of the microscope, with a run for every sample."""
        return DataFolder(self.root / "data")

    def record(self, sample: str) -> Path:
        """What became of a sample."""
        return self.root / "samples" / f"{sample}.json"

    @property
    def cohort(self) -> Path:
        return self.root / "cohort.csv"

    @property
    def truth(self) -> Path:
        """Every sample's arms beside its truth, one row each."""
        return self.root / "samples.csv"

    @property
    def statistics(self) -> StatisticsFolder:
        return StatisticsFolder(self.root / "statistics")

    @property
    def result(self) -> Path:
        return self.root / "study.json"

    @property
    def page(self) -> Path:
        return self.root / "study.html"
