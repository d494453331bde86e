"""Names of threads as the operating system shows them, in `top -H` and in /proc.

Python before 3.14 keeps a thread's name to itself; a measurement from outside, and a
person who looks for what is busy, see the name of the process only.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

LONGEST = 15
"""Characters that Linux keeps of a name."""


def name_here(name: str) -> None:
    """Name the calling thread for the system; where it has no such names, do nothing.

    Never for a main thread, whose name is what the process is found by.
    """
    here = Path(f"/proc/self/task/{threading.get_native_id()}/comm")
    with suppress(OSError):
        here.write_text(name[:LONGEST])
