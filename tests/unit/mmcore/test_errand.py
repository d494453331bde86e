"""Acts that any thread may ask for are waited for no longer than agreed."""

import threading

import pytest

from her2sr_acq.devices.errand import Errand
from her2sr_acq.errors import DeviceError, DeviceTimeoutError


def test_what_the_act_raises_reaches_who_asked():
    def fail() -> None:
        raise DeviceError("no cable")

    with pytest.raises(DeviceError, match="no cable"):
        Errand("laser", fail, timeout_s=5.0).run()


def test_an_act_that_hangs_is_given_up_and_not_begun_again():
    go_on, begun = threading.Event(), []

    def hang() -> None:
        begun.append(1)
        go_on.wait(10.0)

    errand = Errand("laser", hang, timeout_s=0.05)
    for _ in range(3):
        with pytest.raises(DeviceTimeoutError, match="laser: "):
            errand.run()
    assert begun == [1]
    go_on.set()


def test_two_errands_are_begun_before_either_is_waited_for():
    meet, places = threading.Barrier(2, timeout=5.0), []

    def arrive():
        places.append(meet.wait())

    errands = [Errand(name, arrive, timeout_s=5.0) for name in ("a", "b")]
    for finish in [errand.begin() for errand in errands]:
        finish()
    assert sorted(places) == [0, 1]
