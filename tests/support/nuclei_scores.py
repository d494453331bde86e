"""How well labels agree with true labels: F1 at an IoU, and touching pairs merged."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse


@dataclass(frozen=True)
class Agreement:
    """Counts that add up over images."""

    hits: int = 0
    false: int = 0
    missed: int = 0
    touching: int = 0
    merged: int = 0

    def __add__(self, other: "Agreement") -> "Agreement":
        return Agreement(
            *(
                getattr(self, name) + getattr(other, name)
                for name in ("hits", "false", "missed", "touching", "merged")
            )
        )

    @property
    def f1(self) -> float:
        """2 hits / (2 hits + false + missed)."""
        return 2 * self.hits / max(1, 2 * self.hits + self.false + self.missed)

    @property
    def average_precision(self) -> float:
        """Hits / (hits + false + missed), as StarDist's paper has it."""
        return self.hits / max(1, self.hits + self.false + self.missed)

    @property
    def merged_share(self) -> float:
        """Touching pairs under one label, of all touching pairs."""
        return self.merged / max(1, self.touching)


def overlaps(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return pixels by found label and true label, background included."""
    shape = int(found.max()) + 1, int(truth.max()) + 1
    ones = np.ones(found.size, np.int64)
    table = sparse.coo_array((ones, (found.ravel(), truth.ravel())), shape)
    return np.asarray(table.todense())


def touching_pairs(truth: np.ndarray, gap_px: int = 3) -> list[tuple[int, int]]:
    """Return pairs of true nuclei with at most ``gap_px`` pixels between them."""
    pairs = set()
    for label, box in enumerate(ndimage.find_objects(truth), 1):
        if box is None:
            continue
        wide = tuple(
            slice(max(0, s.start - gap_px - 1), s.stop + gap_px + 1) for s in box
        )
        part = truth[wide]
        near = ndimage.distance_transform_edt(part != label) <= gap_px + 1
        others = np.unique(part[near])
        pairs |= {(label, int(o)) for o in others if o > label}
    return sorted(pairs)


def agreement(
    found: np.ndarray,
    truth: np.ndarray,
    pairs: list[tuple[int, int]],
    iou: float = 0.5,
) -> Agreement:
    """Return how labels agree: above half, a found and a true one match uniquely.

    ``pairs`` are those of `touching_pairs`. A touching pair is merged when one
    found label holds most of both.
    """
    table = overlaps(found, truth)
    mine, true = table.sum(1), table.sum(0)
    union = mine[:, None] + true[None, :] - table
    matched = (table / np.maximum(union, 1))[1:, 1:] > iou
    hits = int(matched.any(0).sum())
    owner = np.full(len(true), -1)
    for label in range(1, len(true)):
        holder = int(table[1:, label].argmax()) + 1 if len(mine) > 1 else 0
        if holder and table[holder, label] > 0.5 * true[label]:
            owner[label] = holder
    merged = sum(owner[a] == owner[b] != -1 for a, b in pairs)
    return Agreement(
        hits,
        int((mine[1:] > 0).sum()) - hits,
        int((true[1:] > 0).sum()) - hits,
        len(pairs),
        int(merged),
    )


def area_ratio(found: np.ndarray, truth: np.ndarray, iou: float = 0.5) -> list[float]:
    """Return, for every match, the found area over the true one."""
    table = overlaps(found, truth)
    mine, true = table.sum(1), table.sum(0)
    union = mine[:, None] + true[None, :] - table
    pairs = np.argwhere((table / np.maximum(union, 1))[1:, 1:] > iou) + 1
    return [float(mine[a] / true[b]) for a, b in pairs]
