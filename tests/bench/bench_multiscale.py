"""Time, memory and size of pictures at many scales, of tables and of whole runs.

Run it: ``python tests/bench/bench_multiscale.py [--only NAME] [--form zarr]``.
Localizations stand in loci of nuclei, a tenth of them anywhere (none in ``dark``).
Every picture is drawn by the command in a process of its own, whose largest resident
memory and processor time the system reports. For research use only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from run_folders import add_unit, make_run
from scattered import table

from her2sr_proc.schema.manifest import FieldFacts
from her2sr_proc.store.facts import MovieFacts
from her2sr_proc.store.manifest import read_manifest, write_manifest
from her2sr_proc.store.tables import write_parquet

PIXEL_NM = 130.0
NUCLEUS_NM = 2500.0
LOCUS_NM = 40.0
LOCI = 40


@dataclass(frozen=True)
class Case:
    name: str
    side_px: int
    fields: int
    rows: int
    nuclei: int
    background: float = 0.1


CASES = (
    Case("field of 2048, 1e6", 2048, 1, 10**6, 150),
    Case("field of 2048, 1e7", 2048, 1, 10**7, 150),
    Case("10x10 of 512, 1e6", 512, 10, 10**6, 1000),
    Case("10x10 of 512, 1e7", 512, 10, 10**7, 1000),
    Case("10x10 of 2048, dark, 1e6", 2048, 10, 10**6, 100, 0.0),
)


def places_nm(case: Case, rng: np.random.Generator) -> np.ndarray:
    """Positions over all fields from the first pixel's corner; shape (rows, 2)."""
    side_nm = case.side_px * case.fields * PIXEL_NM
    nuclei = rng.uniform(0, side_nm, (case.nuclei, 1, 2))
    loci = (nuclei + rng.normal(0, NUCLEUS_NM, (case.nuclei, LOCI, 2))).reshape(-1, 2)
    found = loci[rng.integers(0, len(loci), case.rows)]
    found = found + rng.normal(0, LOCUS_NM, found.shape)
    is_anywhere = rng.random(case.rows) < case.background
    found[is_anywhere] = rng.uniform(0, side_nm, (is_anywhere.sum(), 2))
    return found


def save(
    path: Path, places: np.ndarray, side_px: int, rng: np.random.Generator
) -> None:
    rows = table(
        places[:, 0] - PIXEL_NM / 2,
        places[:, 1] - PIXEL_NM / 2,
        rng.uniform(8, 30, len(places)),
    )
    write_parquet(
        path, rows, MovieFacts(PIXEL_NM, side_px, side_px, 5000).to_metadata()
    )


def prepared(case: Case, root: Path) -> list[str]:
    """Write the tables of a case; return what follows `her2sr render`."""
    rng = np.random.default_rng(1)
    places = places_nm(case, rng)
    if case.fields == 1:
        save(root / "locs.parquet", places, case.side_px, rng)
        return [str(root / "locs.parquet")]
    side_nm = case.side_px * PIXEL_NM
    facts = [
        FieldFacts(
            name=f"r{row:02d}_c{column:02d}",
            row=row,
            column=column,
            x_um=column * side_nm / 1000,
            y_um=row * side_nm / 1000,
        )
        for row in range(case.fields)
        for column in range(case.fields)
    ]
    run = make_run(root / "run1", frames={"561": 2}, size=case.side_px)
    manifest = read_manifest(run).model_copy(update={"fields": tuple(facts)})
    write_manifest(run, manifest)
    at = np.floor(places / side_nm).astype(int)
    for field in facts:
        dark = np.zeros((2, 16, 16), np.uint16)
        key = add_unit(run, "561", dark, field=field.name, block=2)
        mine = (at == (field.column, field.row)).all(axis=1)
        corner = np.array([field.column, field.row]) * side_nm
        save(run.table(key), places[mine] - corner, case.side_px, rng)
    return [str(run.root), "--channel", "561"]


def measure(case: Case, options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Path(folder)
        words = prepared(case, root)
        out = root / ("sr.ome.zarr" if options.form == "zarr" else "sr.dzi")
        command = [
            sys.executable,
            "-c",
            "from her2sr_acq.cli import main; main()",
            "render",
            *words,
            "--out",
            str(out),
            "--jobs",
            str(options.jobs),
            "--json",
        ]
        begun = time.perf_counter()
        child = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begun
        if status:
            raise SystemExit(f"{case.name}: the command failed")
        files = [
            p
            for p in root.rglob("*")
            if p.is_file() and ("sr_files" in p.parts or "sr.ome.zarr" in p.parts)
        ]
        size = sum(p.stat().st_size for p in files)
        print(
            f"{case.name}: {seconds:.0f} s ({used.ru_utime + used.ru_stime:.0f} s of "
            f"processor), {used.ru_maxrss / 1024:.0f} MB resident, {len(files)} files, "
            f"{size / 1e6:.0f} MB, load {os.getloadavg()[0]:.1f}",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--form", choices=["dzi", "zarr"], default="dzi")
    parser.add_argument("--folder", type=Path, default=None, help="to write in")
    options = parser.parse_args()
    for case in CASES:
        if options.only in case.name:
            measure(case, options)


if __name__ == "__main__":
    main()
