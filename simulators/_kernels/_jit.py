"""The one decorator for compiled code of the simulator."""

from numba import njit

kernel = njit(nogil=True, cache=True, error_model="numpy", fastmath=False)
