"""Which nuclei a blind reading shows, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from her2sr_proc.errors import AbsentError, RequestError
from her2sr_proc.schema.reading import Picture, ReadingItem, ReadingOpened
from her2sr_proc.schema.review_requests import Pictures, ReadingRequest
from her2sr_proc.scoring.case import Case
from her2sr_proc.scoring.readings import next_name

USUAL_NUCLEI = 20
"""What the guideline asks of a count, and of a recount."""
SHOWN: dict[Pictures, tuple[Picture, ...]] = {
    "both": ("superresolution", "conventional"),
    "superresolution": ("superresolution",),
    "conventional": ("conventional",),
}


def drawn(
    request: ReadingRequest, case: Case, accepted: Sequence[str], *, seed: int
) -> ReadingOpened:
    """Return a new reading: nuclei drawn by chance, or those of an earlier one.

    Parameters
    ----------
    request : ReadingRequest
        What is asked for.
    case : Case
        Its marks decide which nuclei are tumour.
    accepted : sequence of str
        field/nucleus of nuclei that are not excluded.
    seed : int
        Of the draw and of the order; it stands in the record.

    Raises `RequestError` where too few nuclei are marked, and for a contradiction.
    """
    generator = np.random.default_rng(seed)
    if request.same_as is not None:
        items = _items_of(request, case)
    else:
        keys = _draw(request.nuclei or USUAL_NUCLEI, case, accepted, generator)
        items = [
            ReadingItem(nucleus=key, picture=picture)
            for key in keys
            for picture in SHOWN[request.pictures or "both"]
        ]
    items.sort(key=lambda item: (item.nucleus, item.picture))
    order = generator.permutation(len(items))
    return ReadingOpened(
        reading=next_name(case.readings),
        seed=seed,
        items=tuple(items[place] for place in order),
    )


def _items_of(request: ReadingRequest, case: Case) -> list[ReadingItem]:
    if request.nuclei is not None or request.pictures is not None:
        raise RequestError(
            "the pictures of an earlier reading are what they are; leave out 'nuclei' "
            "and 'pictures'"
        )
    earlier = case.readings.get(request.same_as or "")
    if earlier is None:
        raise AbsentError(f"there is no reading '{request.same_as}' of this case")
    return list(earlier.items)


def _draw(
    wanted: int,
    case: Case,
    accepted: Sequence[str],
    generator: np.random.Generator,
) -> list[str]:
    pool = sorted(key for key in accepted if case.marks.get(key) == "invasive")
    if not pool:
        raise RequestError(
            "no accepted nucleus is marked as invasive tumour yet; mark areas or "
            "nuclei first"
        )
    if wanted > len(pool):
        raise RequestError(
            f"{len(pool)} accepted nuclei are marked as invasive tumour, {wanted} are "
            f"asked for; mark more, or ask for fewer"
        )
    return [pool[place] for place in generator.permutation(len(pool))[:wanted]]
