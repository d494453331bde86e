"""Long moves of the stage go with the objective out of the way."""

import math

import pytest
from fake_microscope import FakeMicroscope, Faults

from her2sr_acq.devices.travel import ClearedStage
from her2sr_acq.errors import DeviceError


class LoggedFocus:
    """A focus that writes its moves into the microscope's log."""

    def __init__(self, log: list[str], z_um: float) -> None:
        self.log, self.z_um = log, z_um

    def move_to(self, *, z_um: float) -> None:
        self.log.append(f"focus {z_um:g}")
        self.z_um = z_um

    def position_um(self) -> float:
        return self.z_um


def cleared(z_um: float, **faults):
    microscope = FakeMicroscope(faults=Faults(**faults))
    focus = LoggedFocus(microscope.log, z_um)
    stage = ClearedStage(microscope.stage, focus, long_um=100.0, clear_z_um=-50.0)
    return stage, microscope


def test_a_long_move_goes_with_the_objective_lowered_and_returned():
    stage, microscope = cleared(3.0)
    stage.move_to(x_um=400.0, y_um=0.0)
    assert microscope.log == ["focus -50", "move 400.00 0.00", "focus 3"]
    assert stage.position_um() == (400.0, 0.0)


def test_a_short_move_leaves_the_focus_alone():
    stage, microscope = cleared(3.0)
    stage.move_to(x_um=60.0, y_um=80.0)
    assert microscope.log == ["move 60.00 80.00"]


def test_an_objective_that_is_down_stays_down():
    stage, microscope = cleared(-60.0)
    stage.move_to(x_um=400.0, y_um=0.0)
    assert microscope.log == ["move 400.00 0.00"]


def test_a_height_that_cannot_be_read_counts_as_high():
    stage, microscope = cleared(math.nan)
    stage.move_to(x_um=400.0, y_um=0.0)
    assert microscope.log[0] == "focus -50"


def test_after_a_failed_long_move_the_objective_stays_down():
    stage, microscope = cleared(3.0, stage_raises_at_move=1)
    with pytest.raises(DeviceError, match=r"stays lowered at z = -50 um, and was at 3"):
        stage.move_to(x_um=400.0, y_um=0.0)
    assert microscope.log[-1] == "move 400.00 0.00"


def test_the_move_after_a_failed_one_returns_the_objective():
    stage, microscope = cleared(3.0, stage_raises_at_move=1)
    with pytest.raises(DeviceError):
        stage.move_to(x_um=400.0, y_um=0.0)
    stage.move_to(x_um=400.0, y_um=0.0)
    assert microscope.log[2:] == ["move 400.00 0.00", "focus 3"]


def test_a_focus_that_a_person_set_since_is_kept():
    stage, microscope = cleared(3.0, stage_raises_at_move=1)
    with pytest.raises(DeviceError):
        stage.move_to(x_um=400.0, y_um=0.0)
    stage._focus.z_um = 4.0
    stage.move_to(x_um=10.0, y_um=0.0)
    assert microscope.log[2:] == ["move 10.00 0.00", "focus 4"]
