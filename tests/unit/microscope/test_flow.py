"""Frames on their way into the core: held back only where it was asked for."""

import threading

import numpy as np

from simulators.flow import Backlog


def frames(count):
    return [np.zeros((2, 2), np.uint16) for _ in range(count)]


def test_a_camera_waits_for_its_reader_when_so_many_lie_there():
    backlog, stop = Backlog(2), threading.Event()
    lying = frames(2)
    for frame in lying:
        backlog.add(frame)
    del frame
    reader = threading.Timer(0.02, lying.pop)
    reader.start()
    backlog.wait_for_room(stop)
    assert len(lying) == 1
    reader.join()


class Looks(threading.Event):
    """Counts how often somebody waits for a stop."""

    count = 0

    def wait(self, timeout=None):
        self.count += 1
        return super().wait(timeout)


def test_a_stopped_burst_looks_once_and_waits_no_longer():
    backlog, stop = Backlog(1), Looks()
    (lying,) = frames(1)
    backlog.add(lying)
    stop.set()
    backlog.wait_for_room(stop)
    assert stop.count == 1


def test_a_real_camera_never_waits():
    backlog, stop = Backlog(0), Looks()
    lying = frames(3)
    for frame in lying:
        backlog.add(frame)
        backlog.wait_for_room(stop)
    assert stop.count == 0
