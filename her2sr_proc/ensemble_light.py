"""Whether a frame shows ensemble light: blobs of many dyes, and no molecules.

At the start of a burst all dyes of a locus shine at once. What a fit finds of them is a
blob's middle; several narrow spots explain the blob better, and are none of its dyes.
Told from one frame, so that a table does not depend on how a burst is cut.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

GLARING = 30.0
"""Deviations of their noise by which the nine pixels of a blob stand out of its ground:
900 photo-electrons there, on no ground at all. A dye that bright is narrow."""
SHARE = 0.02
"""Of a frame's maxima that are such blobs, from which its light is of ensembles: twice
what any frame of the densest movie of single molecules has (`dense`, 256 x 256)."""
FEWEST = 4
"""Of such blobs: two dyes beside each other make one by chance."""


def is_ensemble(significance: F64) -> bool:
    """Return whether a frame's light is that of ensembles.

    Parameters
    ----------
    significance : float64 array, shape (maxima,)
        Of every maximum of the frame, as `kernels.abreast.fit_spots` writes it.
    """
    glaring = np.count_nonzero(significance > GLARING)
    return bool(glaring >= max(FEWEST, SHARE * significance.size))
