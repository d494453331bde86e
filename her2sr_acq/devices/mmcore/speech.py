"""What a core and its devices say, as this package's errors and values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten

from her2sr_acq.errors import AcqError, DeviceError

FOREIGN = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ImportError,
    OSError,
    MemoryError,
)
"""What a core and devices in Python raise when hardware says no."""
MAX_SAID = 240
"""Of a foreign message; adapters list everything they know."""


@contextmanager
def speaking_to(label: str) -> Iterator[None]:
    """Turn whatever a device or the core raises into a `DeviceError` naming it."""
    try:
        yield
    except AcqError:
        raise
    except FOREIGN as exc:
        said = shorten(str(exc), MAX_SAID, placeholder=" ...") or type(exc).__name__
        raise DeviceError(f"{label}: {said}", device=label) from exc


def same_value(a: str, b: str) -> bool:
    """Return whether two property values are the same, as numbers if they are."""
    try:
        return float(a) == float(b)
    except ValueError:
        return a == b
