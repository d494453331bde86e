"""OME-XML of a movie: read for its scale, and changed to fit the frames that are kept.

Source: the OME schema of June 2016, https://www.openmicroscopy.org/Schemas/.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal
from xml.etree import ElementTree as ET

from her2sr_proc.errors import MovieError
from her2sr_proc.store.stack_facts import TO_UM, StackFacts, unsigned

SPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
TO_S = {"s": 1.0, "ms": 1e-3, "min": 60.0, "µs": 1e-6, "us": 1e-6}
PixelType = Literal["uint16", "float"]
BEFORE_DESCRIPTION = ("AcquisitionDate", "ExperimenterRef")
"""Children of an image that the schema puts first."""


def facts_of(text: str, known: StackFacts) -> StackFacts:
    """Return what OME-XML says of its first image, added to what is known.

    XML that is broken is left out; the pixels are no worse for it.
    """
    try:
        pixels = _pixels(_parse(text))
    except MovieError:
        return known
    return replace(
        known,
        pixel_um=_number(pixels, "PhysicalSizeX", TO_UM, "µm"),
        interval_s=_number(pixels, "TimeIncrement", TO_S, "s"),
        ome=text,
    )


def ome_text(facts: StackFacts, shape: tuple[int, int, int], kind: PixelType) -> str:
    """Return the OME-XML of a stack of frames in time, all in one file in order.

    What the movie's own says is kept, except for what is no longer true: the number of
    frames, their type and where they are in which file, and frames left out. A further
    image of the same file is left out.
    """
    root = _parse(facts.ome) if facts.ome else _new(facts.name)
    root.attrib.pop("UUID", None)
    images = root.findall("{*}Image")
    for image in images[1:]:
        root.remove(image)
    _describe(images[0], facts.note)
    _fit(_pixels(root), facts, shape, kind)
    return _text(root)


def _fit(
    pixels: ET.Element, facts: StackFacts, shape: tuple[int, int, int], kind: PixelType
) -> None:
    axis = next((a for a in "TZC" if int(pixels.get(f"Size{a}", "1")) > 1), "T")
    channels = pixels.findall("{*}Channel")
    planes = pixels.findall("{*}Plane")
    for child in list(pixels):
        is_kept = _local(child) == "Channel" and child is channels[0]
        if not is_kept:
            pixels.remove(child)
    pixels.attrib |= {
        **{"DimensionOrder": "XYZCT", "Type": kind, "BigEndian": "false"},
        **{"SizeX": str(shape[2]), "SizeY": str(shape[1]), "SizeZ": "1"},
        **{"SizeC": "1", "SizeT": str(shape[0])},
    }
    pixels.attrib.pop("SignificantBits", None)
    pixels.attrib.pop("Interleaved", None)
    if facts.pixel_um is not None and "PhysicalSizeX" not in pixels.attrib:
        side = f"{facts.pixel_um:.9g}"
        pixels.attrib |= {"PhysicalSizeX": side, "PhysicalSizeY": side}
    if facts.interval_s is not None:
        pixels.attrib |= {
            "TimeIncrement": f"{facts.interval_s:.12g}",
            "TimeIncrementUnit": "s",
        }
    space = pixels.tag.removesuffix("Pixels")
    if not channels:
        about = {"ID": "Channel:0:0", "SamplesPerPixel": "1"}
        ET.SubElement(pixels, f"{space}Channel", about)
    where = {"IFD": "0", "PlaneCount": str(shape[0])}
    ET.SubElement(pixels, f"{space}TiffData", where)
    kept = facts.kept if facts.kept is not None else range(shape[0])
    pixels.extend(_renumbered(planes, axis, kept))


def _renumbered(
    planes: list[ET.Element], axis: str, kept: range
) -> Iterator[ET.Element]:
    """Yield what is said of the frames that are kept, under their new numbers."""
    of = {plane.get(f"The{axis}"): plane for plane in planes}
    for number, frame in enumerate(kept):
        plane = of.get(str(frame))
        if plane is not None:
            plane.attrib |= {"TheZ": "0", "TheC": "0", "TheT": str(number)}
            yield plane


def _describe(image: ET.Element, note: str) -> None:
    """Add a note to an image's description."""
    space = image.tag.removesuffix("Image")
    found = image.find(f"{space}Description")
    if found is None:
        found = ET.Element(f"{space}Description")
        first = (_local(child) in BEFORE_DESCRIPTION for child in image)
        image.insert(sum(first), found)
    found.text = f"{unsigned(found.text or '')}\n{note}".strip()


def _new(name: str) -> ET.Element:
    root = ET.Element(f"{{{SPACE}}}OME")
    about = {"ID": "Image:0", "Name": name}
    image = ET.SubElement(root, f"{{{SPACE}}}Image", about)
    ET.SubElement(image, f"{{{SPACE}}}Pixels", {"ID": "Pixels:0"})
    return root


def _parse(text: str) -> ET.Element:
    """Return the root. Raises `MovieError` for what is no OME-XML of an image."""
    try:
        root = ET.fromstring(text.encode())
    except ET.ParseError as exc:
        raise MovieError(f"its OME-XML is broken ({exc}); export it again") from exc
    _pixels(root)
    return root


def _pixels(root: ET.Element) -> ET.Element:
    found = root.find("{*}Image/{*}Pixels")
    if found is None:
        raise MovieError("its OME-XML describes no image; export it again")
    return found


def _text(root: ET.Element) -> str:
    """Return XML in which the schema's names have no prefix: some readers want so."""
    space = root.tag[1:].partition("}")[0]
    for element in root.iter():
        if element.tag.startswith(f"{{{space}}}"):
            element.tag = _local(element)
    root.set("xmlns", space)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>{body}'


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _number(
    pixels: ET.Element, name: str, units: dict[str, float], usual: str
) -> float | None:
    try:
        value = float(pixels.get(name, ""))
    except ValueError:
        return None
    unit = units.get(pixels.get(f"{name}Unit", usual))
    if unit is None or not 0 < value < math.inf:
        return None
    return value * unit
