"""Room on the disk of a data folder: what is kept free, and what may be discarded."""

from her2sr_acq.storage.room import Reserve, low_water

__all__ = ["Reserve", "low_water"]
