"""The decorators for compiled code, so that its flags are decided once.

nogil         threads of the localizer run side by side
cache         a worker starts in milliseconds, not in seconds; it does not know of a
              change here, but of one in a kernel's own file
error_model   0/0 gives nan, as in numpy, instead of an exception mid-loop
fastmath off  it assumes that nan never occurs, and our fits test for nan; at most
              "contract", which assumes nothing
"""

from functools import partial

from numba import njit

_compiled = partial(njit, nogil=True, cache=True, error_model="numpy")

kernel = _compiled(fastmath=False)

fused_kernel = _compiled(fastmath={"contract"})
"""For fits made one by one: a product and the sum after it are one instruction.

It rounds once, so is more exact, and takes some percent less of a frame's time, but
gives other last bits where a processor has no such instruction, or where not all lanes
of a loop are in vectors: not for a peer's own bits, nor for fits side by side.
"""
