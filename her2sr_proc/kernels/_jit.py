"""The decorators for compiled code, so that its flags are decided once.

nogil         threads of the localizer run side by side
cache         a worker starts in milliseconds, not in seconds
error_model   0/0 gives nan, as in numpy, instead of an exception mid-loop
fastmath off  it assumes that nan never occurs, and our fits test for nan
"""

from numba import njit

kernel = njit(nogil=True, cache=True, error_model="numpy", fastmath=False)

fused_kernel = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
"""For fits: a product and the sum that follows it are one instruction, rounded once.

That is more exact and takes an eighth less of a frame's time, and gives other last bits
where a processor has no such instruction; so not for what must give a peer's own bits.
"""
