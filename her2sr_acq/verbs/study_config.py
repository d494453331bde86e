"""What a study asks of the microscope: its configuration, and one order a sample."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from her2sr_acq.config import DeviceConfig
from her2sr_acq.engine.views import RunRequest
from her2sr_acq.plan.foresight import check_early, free_space
from her2sr_acq.plan.load import override, packaged
from her2sr_acq.verbs.demo_config import simulated
from her2sr_proc.store.layout import StudyFolder
from her2sr_proc.study.plan import SamplePlan, StudyPlan

PROTOCOL = "demo"
OPERATOR = "study"
TIME_SCALE = 25.0
"""Simulated seconds a real one at most; the camera waits for whoever is slower."""


def checked(folder: StudyFolder, plan: StudyPlan) -> dict[str, Any]:
    """Return the configuration. Raises `PlanRejectedError` for what cannot be met."""
    configuration = configuration_of(folder, plan)
    for sample in plan.samples:
        request = request_of(plan, sample, keep_raw=False)
        check_early(
            override(packaged(PROTOCOL), request.overrides),
            DeviceConfig.model_validate(configuration),
            free_bytes=free_space(folder.data.root),
        )
    return configuration


def configuration_of(folder: StudyFolder, plan: StudyPlan) -> dict[str, Any]:
    """Return the device configuration: every sample a section on one levelled stage."""
    options = plan.options
    return simulated(
        folder.data.root,
        options.size_px,
        seed=options.seed,
        kinetics_factor=max(1.0, options.compression),
        time_scale=TIME_SCALE,
        record_intervals=False,
        camera={"max_waiting": 100},
        # sections lie millimetres apart; each would be levelled and focused by itself
        stage={"tilt_x_mrad": 0.0, "tilt_y_mrad": 0.0},
        sample={"section_um": options.section_um},
        mounts=[
            {
                "specimen": one.kind,
                "seed": one.seed,
                "x_um": one.x_um,
                "y_um": one.y_um,
            }
            for one in plan.samples
        ],
    )


def request_of(plan: StudyPlan, sample: SamplePlan, *, keep_raw: bool) -> RunRequest:
    """Return the order of one sample's run."""
    options = plan.options
    overrides: dict[str, JsonValue] = {
        "grid.rows": options.rows,
        "grid.columns": options.columns,
        "grid.centre": [sample.x_um, sample.y_um],
        "keep_raw": "all" if keep_raw else "localizations",
    }
    for channel in packaged(PROTOCOL).channels:
        is_signal = channel.role == "signal"
        overrides[f"channels.{channel.name}.frames"] = (
            options.frames if is_signal else options.nuclei_frames
        )
    return RunRequest(
        protocol=PROTOCOL,
        sample=sample.name,
        operator=OPERATOR,
        overrides=overrides,
    )
