"""Room on the disk of a data folder: what is kept free, and what may be discarded."""

from her2sr_acq.storage.discard import discard_raw
from her2sr_acq.storage.room import Reserve, low_water

__all__ = ["Reserve", "discard_raw", "low_water"]
