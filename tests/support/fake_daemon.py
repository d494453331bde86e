"""The hardware process with a microscope in memory; run as a script by tests.

``FAKE_PACE_S`` is the time a frame takes.
"""

from __future__ import annotations

import os
import sys

from fake_microscope import FakeMicroscope

from her2sr_acq import daemon


def open_hardware(config, path) -> FakeMicroscope:
    microscope = FakeMicroscope()
    microscope.camera.pace_s = float(os.environ.get("FAKE_PACE_S", "0"))
    return microscope


if __name__ == "__main__":
    sys.exit(daemon.main(open_hardware=open_hardware))
