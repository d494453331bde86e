"""Light put out by its own port: over a unix socket, over a serial line."""

import os
import threading
import tty

import pytest
from guards import SeenLights, settings
from pydantic import ValidationError
from short import short_folder

from her2sr_acq.errors import ConfigError, LightError
from her2sr_acq.guard.safe import shut, shut_all
from her2sr_acq.guard.settings import (
    Exchange,
    GuardConfig,
    SafeOff,
    read_settings,
    settings_for,
    write_settings,
)
from simulators.lightport import PORT, LightPort, LightServer

(UNIX,) = settings().guard.safe_off


@pytest.fixture
def lights():
    lights = SeenLights()
    lights.set_power(561, 40.0)
    lights.switch(561, on=True)
    return lights


@pytest.fixture
def runtime(lights):
    with short_folder() as runtime:
        server = LightServer(runtime / PORT, lights)
        server.start()
        yield runtime
        server.stop()


def test_the_simulated_lights_are_shut_and_read_back(runtime, lights):
    shut(UNIX, runtime)
    assert not lights.is_lit


def test_a_light_that_stays_on_is_told_with_its_answer(runtime, lights):
    lights.is_stuck = True
    with pytest.raises(LightError, match=r"561:ON POW 40.*switch it off by hand"):
        shut(UNIX, runtime)


def test_a_port_held_by_another_is_no_proof(runtime, lights):
    with (
        LightPort(runtime / PORT),
        pytest.raises(LightError, match="light of 405, 488"),
    ):
        shut(UNIX, runtime)
    assert lights.is_lit


def test_a_light_that_is_not_there_is_no_proof(tmp_path):
    with pytest.raises(LightError, match="check that the light's controller is there"):
        shut(UNIX, tmp_path)


def test_every_line_is_tried_although_one_fails(runtime, lights):
    missing = UNIX.model_copy(update={"port": "unix:nothing"})
    with pytest.raises(LightError, match="unix:nothing"):
        shut_all([missing, UNIX], runtime)
    assert not lights.is_lit


@pytest.fixture
def serial_laser():
    """A laser behind a pseudo-terminal: answers lines as its dictionary says.

    Yields its device, its answers and the lines that it has heard.
    """
    heard: list[bytes] = []
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    answers = {b"L=0": b"OK\r\n", b"?L": b"0\r\n"}

    def serve() -> None:
        received = b""
        while b"end" not in received:
            received += os.read(ours, 64)
            *lines, received = received.split(b"\r")
            for line in lines:
                heard.append(line)
                os.write(ours, answers[line])

    thread = threading.Thread(target=serve)
    thread.start()
    yield os.ttyname(theirs), answers, heard
    os.write(theirs, b"end")
    thread.join(5.0)
    os.close(ours)
    os.close(theirs)


def serial_way(device: str) -> SafeOff:
    exchanges = (
        Exchange(send="L=0\r", expect="OK"),
        Exchange(send="?L\r", expect="0"),
    )
    return SafeOff(nm=(561,), port=f"serial:{device}:115200", exchanges=exchanges)


def test_a_serial_laser_is_shut_and_read_back(serial_laser, tmp_path):
    device, _, heard = serial_laser
    shut(serial_way(device), tmp_path)
    assert heard == [b"L=0", b"?L"]


def test_a_serial_laser_that_reads_on_is_no_proof(serial_laser, tmp_path):
    device, answers, _ = serial_laser
    answers[b"?L"] = b"1\r\n"
    with pytest.raises(LightError, match="answered '1' instead of '0'"):
        shut(serial_way(device), tmp_path)


def test_a_serial_laser_that_does_not_exist_is_no_proof(tmp_path):
    with pytest.raises(LightError, match="cannot be used"):
        shut(serial_way(str(tmp_path / "tty")), tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"send": "", "expect": "OK"}, "at least one character"),
        ({"send": "é", "expect": "OK"}, "ASCII alone"),
        ({"send": "x", "expect": ".*"}, "must not match silence"),
        ({"send": "x", "expect": "("}, "no regular expression"),
    ],
)
def test_an_exchange_that_proves_nothing_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        Exchange(**values)


def test_a_port_must_say_its_kind_and_its_speed():
    with pytest.raises(ValidationError, match="serial:DEVICE:BAUD"):
        SafeOff(nm=(405,), port="serial:COM3", exchanges=UNIX.exchanges)


def test_settings_survive_the_way_through_their_file(tmp_path):
    write_settings(tmp_path, settings())
    assert read_settings(tmp_path) == settings()


def test_settings_that_are_not_there_are_told_with_the_cure(tmp_path):
    with pytest.raises(ConfigError, match="start the service of this data folder once"):
        read_settings(tmp_path)


def test_settings_that_leave_a_line_uncovered_are_refused():
    with pytest.raises(ConfigError, match="nothing shuts the line of 640 nm"):
        settings_for((405, 640), GuardConfig(safe_off=(UNIX,)))
