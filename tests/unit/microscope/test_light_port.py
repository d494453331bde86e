"""The light port: one holder at a time, and light that outlives its holder."""

import socket
from contextlib import suppress

import pytest
from short import short_folder

from her2sr_acq.errors import DeviceError, DeviceTimeoutError
from simulators.lightport import PORT, LightPort, LightServer
from simulators.lights import Lights


@pytest.fixture
def lights():
    return Lights(lambda: 0.0)


@pytest.fixture
def path(lights):
    with short_folder() as folder:
        server = LightServer(folder / PORT, lights)
        server.start()
        yield folder / PORT
        server.stop()


def take(path):
    return LightPort(path, deadline_s=0.1)


def lit(lights):
    return {line.nm for line in lights.states() if line.on}


ANSWERS = [
    ("561:POW 40.0", "OK 561:POW 40.0"),
    ("561:ON", "OK 561:ON"),
    ("488:OFF", "OK 488:OFF"),
    ("405:?", "405:OFF POW 0.000 OUT 0.000"),
    ("ALL:OFF", "OK ALL:OFF"),
    ("?", "LIGHT 405 488 561"),
]


@pytest.mark.parametrize(("command", "expected"), ANSWERS)
def test_a_command_is_answered_with_itself_or_the_state(path, command, expected):
    with take(path) as port:
        assert port.exchange(command) == expected


REFUSED = [
    pytest.param("640:ON", "no line 640", id="no such line"),
    pytest.param("561:POW 140", "not within 0 to 100", id="too much"),
    pytest.param("561:POW nan", "not within 0 to 100", id="not a number"),
    pytest.param("561:BLINK", "unknown command", id="no such command"),
    pytest.param("hello", "invalid literal", id="not a command"),
]


@pytest.mark.parametrize(("command", "reason"), REFUSED)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    path, lights, command, reason
):
    with take(path) as port, pytest.raises(DeviceError, match=reason):
        port.exchange(command)
    assert not lit(lights)


def test_output_follows_power_and_emission(path):
    with take(path) as port:
        port.exchange("561:POW 40")
        port.exchange("561:ON")
        assert port.exchange("561:?") == "561:ON POW 40.000 OUT 40.000"


def test_a_second_caller_is_refused_while_the_first_holds_the_port(path):
    with take(path) as first:
        with pytest.raises(DeviceError, match="held by another process"):
            take(path)
        assert first.exchange("405:?").startswith("405:OFF")


def test_the_port_is_free_when_its_holder_is_gone_and_the_light_stays(path, lights):
    with take(path) as first:
        first.exchange("561:ON")
    assert lit(lights) == {561}
    with take(path) as second:
        second.exchange("ALL:OFF")
    assert not lit(lights)


def test_a_command_in_pieces_is_one_command(path, lights):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.connect(str(path))
        caller.sendall(b"561:")
        caller.sendall(b"ON\n")
        assert caller.recv(64) == b"OK 561:ON\n"
    assert lit(lights) == {561}


def test_endless_noise_without_a_line_loses_the_port(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(2.0)
        caller.connect(str(path))
        caller.sendall(b"x" * 2000)
        with suppress(ConnectionResetError):
            assert caller.recv(64) == b""
    with take(path) as port:
        assert port.exchange("?").startswith("LIGHT")


def test_nobody_at_the_port_is_said_with_the_cure(tmp_path):
    with pytest.raises(DeviceError, match="start the simulated microscope"):
        take(tmp_path / PORT)


def test_silence_after_a_command_is_a_timeout():
    with short_folder() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / PORT))
        listener.listen()
        with pytest.raises(DeviceError, match="nobody answers"):
            take(folder / PORT)


def test_a_port_that_falls_silent_is_a_timeout(path, monkeypatch):
    with take(path) as port:
        monkeypatch.setattr("simulators.lightport.answer", lambda *_: "")
        monkeypatch.setattr(LightServer, "_reply", lambda *_: None)
        with pytest.raises(DeviceTimeoutError, match="no answer to '561:OFF'"):
            port.exchange("561:OFF")


def test_a_line_remembers_how_long_it_was_lit():
    now = [10.0]
    lights = Lights(lambda: now[0])
    lights.switch(561, on=True)
    now[0] = 12.5
    lights.switch(561, on=False)
    now[0] = 20.0
    lights.switch(561, on=True)
    now[0] = 21.0
    assert {line.nm: line.lit_s for line in lights.states()} == {
        405: 0.0,
        488: 0.0,
        561: 3.5,
    }


class IllLights:
    """A light with everything wrong that can be."""

    def __init__(self, *, stuck=(), ill=(), is_open=False, is_mute=False):
        self.stuck, self.ill = stuck, ill
        self.open, self.mute = is_open, is_mute

    def is_stuck(self, nm):
        return nm in self.stuck

    def has_laser_fault(self, nm):
        return nm in self.ill

    def is_open(self):
        return self.open

    def share_of(self, nm):
        return 1.0

    def is_mute(self):
        return self.mute


@pytest.fixture
def ill_path(request):
    lights = Lights(lambda: 0.0, **request.param)
    with short_folder() as folder:
        server = LightServer(folder / PORT, lights)
        server.start()
        yield folder / PORT
        server.stop()


def ill(**faults):
    return pytest.mark.parametrize(
        "ill_path", [{"faults": IllLights(**faults)}], indirect=True
    )


def test_a_sound_light_has_a_closed_interlock_and_no_fault(path):
    with take(path) as port:
        assert port.exchange("INT:?") == "INT:CLOSED"
        assert port.exchange("561:FAULT?") == "561:FAULT 0"
        with pytest.raises(DeviceError, match="no line 640"):
            port.exchange("640:FAULT?")


@ill(ill=(561,), is_open=True)
def test_faults_and_an_open_interlock_are_reported_and_light_goes_on(ill_path):
    with take(ill_path) as port:
        assert port.exchange("INT:?") == "INT:OPEN"
        assert port.exchange("561:FAULT?") == "561:FAULT 1"
        assert port.exchange("488:FAULT?") == "488:FAULT 0"
        assert port.exchange("561:ON") == "OK 561:ON"


@ill(stuck=(561,))
def test_a_stuck_line_accepts_to_be_shut_and_stays_on(ill_path):
    with take(ill_path) as port:
        port.exchange("561:ON")
        port.exchange("488:ON")
        assert port.exchange("ALL:OFF") == "OK ALL:OFF"
        assert port.exchange("561:?").startswith("561:ON")
        assert port.exchange("488:?").startswith("488:OFF")


@ill(is_mute=True)
def test_a_mute_port_gives_no_answer_at_all(ill_path):
    with pytest.raises(DeviceError, match="nobody answers"):
        take(ill_path)


@pytest.mark.parametrize(
    "ill_path",
    [{"faults": IllLights(is_open=True), "interlock_cuts": True}],
    indirect=True,
)
def test_an_interlock_that_cuts_lets_no_line_be_opened(ill_path):
    with take(ill_path) as port, pytest.raises(DeviceError, match="interlock is open"):
        port.exchange("561:ON")
