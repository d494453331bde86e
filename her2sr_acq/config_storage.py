"""What a device configuration says of the disk of its data folder."""

from __future__ import annotations

from pydantic import Field

from her2sr_proc.schema.model import Frozen


class IdleConfig(Frozen):
    """When the service is idle enough to code finished runs anew."""

    after_min: float = Field(
        default=10.0, ge=0, le=1440, description="so long no run and a quiet machine"
    )
    load_percent: float = Field(
        default=30.0, gt=0, le=100, description="busier, of all processors, is not idle"
    )


class StorageConfig(Frozen):
    """What is kept free on the disk, and what is saved there in idle hours."""

    low_water_mb: int = Field(
        default=1024, ge=0, description="less free than this pauses a run"
    )
    reserve_mb: int = Field(
        default=64, ge=0, le=4096, description="given up so that a full disk is noted"
    )
    recompress_idle: IdleConfig | None = Field(
        default=None, description="{}: code finished runs densely when nobody measures"
    )
