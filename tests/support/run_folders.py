"""Builds run folders as the engine leaves them: manifest, raw chunks, ledger."""

from pathlib import Path

from her2sr_proc.schema.block import BlockKey, UnitKey
from her2sr_proc.schema.camera import CameraModel
from her2sr_proc.schema.ledger import BlockRecord, UnitRecord, UnitState
from her2sr_proc.schema.manifest import ChannelFacts, FieldFacts, Manifest
from her2sr_proc.store import raw
from her2sr_proc.store.layout import RunFolder
from her2sr_proc.store.lines import LineWriter
from her2sr_proc.store.manifest import write_manifest

PROBES = {"561": "HER2", "488": "CEP17", "405": "DAPI"}
SIMULATION = {"seed": 1, "kinetics_factor": 12.5, "time_scale": 1.0}


def make_run(
    root: Path, *, frames: dict[str, int], size: int, fields=("r00_c00",)
) -> RunFolder:
    """Make an empty run folder; ``frames``: how many by channel, in order."""
    run = RunFolder(root)
    channels = tuple(
        ChannelFacts(
            name=name,
            probe=PROBES[name],
            laser_nm=int(name),
            power_percent=20 if name == "405" else 40,
            exposure_ms=30,
            frames=count,
            role="nuclei" if name == "405" else "signal",
        )
        for name, count in frames.items()
    )
    manifest = Manifest(
        run=run.name,
        created_utc="2026-01-01T00:00:00Z",
        sample="s1",
        operator="o1",
        protocol="demo",
        plan={},
        channels=channels,
        fields=tuple(
            FieldFacts(name=name, row=0, column=n, x_um=n * size * 0.13, y_um=0.0)
            for n, name in enumerate(fields)
        ),
        frame_height=size,
        frame_width=size,
        camera=CameraModel(),
        configuration="simulated",
        configuration_sha256="0" * 64,
        simulation=SIMULATION,
        versions={"her2sr": "test"},
    )
    write_manifest(run, manifest)
    return run


def add_unit(
    run: RunFolder,
    channel: str,
    movie,
    *,
    field="r00_c00",
    block=10,
    requested=None,
    form="ome-zarr",
) -> UnitKey:
    """Write a movie as one unit, block by block; partial where frames are wanting."""
    unit = UnitKey(run=run.name, field=field, channel=channel)
    frames, height, width = movie.shape
    requested = requested or frames
    shape = raw.RawShape(requested, height, width, block)
    path = run.raw(unit, form)
    raw.create(path, shape, pixel_um=0.13, exposure_ms=30.0, name=channel)
    with LineWriter(run.ledger) as ledger:
        for number in range(frames // block):
            part = movie[number * block :][:block]
            size, digest = raw.write_block(path, number, part)
            record = BlockRecord(
                key=BlockKey(**unit.model_dump(), block=number),
                first_frame=number * block,
                frames=block,
                bytes=size,
                sha256=digest,
                t_s=(0.0,) * block,
                published=False,
            )
            ledger.append(record.model_dump_json())
        whole = frames == requested
        verdict = UnitRecord(
            key=unit,
            state=UnitState.COMPLETE if whole else UnitState.PARTIAL,
            requested=requested,
            delivered=frames,
            written=frames,
            published=0,
            started_utc="2026-01-01T00:00:00Z",
            ended_utc="2026-01-01T00:00:10Z",
            reason="" if whole else "stopped on request",
        )
        ledger.append(verdict.model_dump_json())
    return unit
