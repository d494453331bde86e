"""The guard of one calibration: ``python -m her2sr_acq.calibrating.guarded``.

The same guard as that of `her2sr serve`, over another hardware process.
"""

from __future__ import annotations

import sys

from her2sr_acq.guard.__main__ import main

CALIBRATING = (sys.executable, "-m", "her2sr_acq.calibrating")

if __name__ == "__main__":
    sys.exit(main(acq=CALIBRATING))
