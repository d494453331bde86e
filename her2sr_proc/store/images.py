"""Images as files: TIFF that knows its pixel size, and PNG previews for people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, ImageDraw, PngImagePlugin

from her2sr_proc.errors import DataError, RequestError
from her2sr_proc.schema.banner import BANNER
from her2sr_proc.store.atomic import replacing
from her2sr_proc.store.tiff import READ_ERRORS, check_directory

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

Colour = Literal["grey", "green", "red", "blue", "hot"]
NM_PER_CM = 1e7
_COLOURS: dict[Colour, tuple[tuple[float, float, float], ...]] = {
    "grey": ((0, 0, 0), (1, 1, 1)),
    "green": ((0, 0, 0), (0.1, 0.9, 0.1), (0.85, 1, 0.85)),
    "red": ((0, 0, 0), (1, 0.15, 0.1), (1, 0.88, 0.82)),
    "blue": ((0, 0, 0), (0.25, 0.45, 1), (0.9, 0.95, 1)),
    "hot": ((0, 0, 0), (0.9, 0, 0), (1, 0.85, 0), (1, 1, 1)),
}
BAR_LENGTHS_UM = (100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1)


def write_tiff(path: Path, image: npt.NDArray[np.generic], *, pixel_nm: float) -> None:
    """Write a 2-d image whole, in its own dtype, with its pixel size.

    uint8, uint16, int32 and float32 are kept as they are; ImageJ and `read_tiff`
    find the pixel size.
    """
    if image.ndim != 2 or image.dtype not in (
        np.uint8,
        np.uint16,
        np.int32,
        np.float32,
    ):
        raise RequestError(
            f"a {image.dtype} image of shape {image.shape} cannot be written as TIFF; "
            f"give two axes of uint8, uint16, int32 or float32"
        )
    with replacing(path) as beside:
        tifffile.imwrite(
            beside,
            image,
            photometric="minisblack",
            compression="zlib",
            resolution=(NM_PER_CM / pixel_nm, NM_PER_CM / pixel_nm),
            resolutionunit="CENTIMETER",
            description=f"pixel_nm={pixel_nm:.6g}; {BANNER}",
            metadata=None,
        )


def read_tiff(path: Path, shape: tuple[int, int] | None = None) -> npt.NDArray[Any]:
    """Return the 2-d image of a TIFF, in its own dtype.

    Raises `DataError` when the file is no TIFF, holds anything but one plane, or one
    of another ``shape``: that is asked before a pixel is read, since a damaged tag may
    claim any.
    """
    try:
        check_directory(path)  # tifffile would follow a damaged one for ever
        with tifffile.TiffFile(path) as file:
            found = file.series[0].shape
            if len(found) != 2:
                raise DataError(f"{path} holds shape {found}; one plane is wanted")
            if shape not in (None, found):
                raise DataError(
                    f"{path} has {found[0]} x {found[1]} pixels and the image "
                    f"{shape[0]} x {shape[1]}; give the file of this image"
                )
            image = np.asarray(file.series[0].asarray())
    except READ_ERRORS as exc:
        raise DataError(f"{path} cannot be read as TIFF ({exc})") from exc
    if image.shape != found or not image.size:  # tifffile gives what is there
        raise DataError(f"{path} holds fewer pixels than it says; copy it again")
    return image


@dataclass(frozen=True, slots=True)
class PreviewStyle:
    """How an image is shown to a person."""

    colour: Colour = "grey"
    low_percentile: float = 1.0
    high_percentile: float = 99.8
    gamma: float = 1.0
    pixel_nm: float | None = None
    """Size of a pixel; a scale bar is drawn when it is given."""
    longest_px: int = 2048
    """Larger images are reduced by averaging."""


def write_preview(
    path: Path, image: npt.NDArray[np.generic], style: PreviewStyle | None = None
) -> None:
    """Write a PNG of a 2-d image, stretched between two percentiles and coloured.

    ``image``: shape (height, width), any unit. Raises `OSError`.
    """
    style = style or PreviewStyle()
    reduced, factor = _reduce(image.astype(np.float32), style.longest_px)
    picture = Image.fromarray(_paint(_stretch(reduced, style), style.colour), "RGB")
    if style.pixel_nm is not None:
        _draw_bar(picture, style.pixel_nm * factor)
    facts = PngImagePlugin.PngInfo()
    facts.add_text("Comment", BANNER)
    with replacing(path) as beside:
        picture.save(beside, "PNG", pnginfo=facts)


def _reduce(image: F32, longest_px: int) -> tuple[F32, int]:
    """Return the image with blocks of pixels averaged, and the width of a block."""
    factor = max(1, -(-max(image.shape) // longest_px))
    down, right = (min(factor, side) for side in image.shape)
    height, width = image.shape[0] // down, image.shape[1] // right
    blocks = image[: height * down, : width * right].reshape(height, down, width, right)
    return blocks.mean(axis=(1, 3), dtype=np.float64).astype(np.float32), right


def _stretch(image: F32, style: PreviewStyle) -> F32:
    """Return the image from 0 to 1, between its percentiles.

    They are of the pixels that are not zero: a sparse image is zero nearly everywhere.
    """
    lit = image[np.isfinite(image) & (image != 0)]
    if lit.size == 0:
        return np.zeros(image.shape, np.float32)
    low, high = np.percentile(lit, [style.low_percentile, style.high_percentile])
    if not np.all(image):
        low = min(low, 0.0)
    scaled = np.clip((np.nan_to_num(image) - low) / max(high - low, 1e-12), 0, 1)
    return np.asarray(scaled**style.gamma, np.float32)


def palette(colour: Colour) -> U8:
    """Return the colours of levels 0 to 255, black to brightest; shape (256, 3)."""
    stops = np.array(_COLOURS[colour], np.float64)
    at = np.linspace(0, 1, len(stops))
    table = np.stack([np.interp(np.linspace(0, 1, 256), at, c) for c in stops.T], 1)
    return np.asarray(np.round(255 * table), np.uint8)


def _paint(level: F32, colour: Colour) -> U8:
    return palette(colour)[np.round(255 * level).astype(np.uint8)]


def _draw_bar(picture: Image.Image, pixel_nm: float) -> None:
    """Draw the longest round scale bar that fits a quarter of the width."""
    width_um = picture.width * pixel_nm / 1000
    fitting = [length for length in BAR_LENGTHS_UM if length <= width_um / 4]
    if not fitting:
        return
    length_px = round(fitting[0] * 1000 / pixel_nm)
    thick = max(2, picture.height // 150)
    right, bottom = picture.width - 4 * thick, picture.height - 4 * thick
    draw = ImageDraw.Draw(picture)
    box = (right - length_px, bottom - thick, right, bottom)
    draw.rectangle(box, fill="white", outline="black")
    text = f"{fitting[0]:g} um"
    size = max(10, picture.height // 32)
    place = (right - length_px / 2, bottom - 2 * thick)
    draw.text(place, text, fill="white", anchor="ms", font_size=size)


def read_window(path: Path, rows: slice, columns: slice) -> npt.NDArray[Any]:
    """Return a part of the 2-d image of a TIFF, in its own dtype.

    Reads the strips that hold it alone: a super-resolution image of a whole chip has
    most of a gigabyte. Slices have starts and ends inside the image, and no step.

    Raises `DataError` when the file is no TIFF, or holds anything but one plane.
    """
    try:
        with tifffile.TiffFile(path) as file:
            page = _one_page(path, file)
            high = page.rowsperstrip
            strips = range(rows.start // high, -(-rows.stop // high))
            parts = [_strip(file, page, number) for number in strips]
    except READ_ERRORS as exc:
        raise DataError(f"{path} cannot be read as TIFF ({exc})") from exc
    whole = np.concatenate(parts)
    top = strips.start * high
    return whole[rows.start - top : rows.stop - top, columns]


def read_sample(path: Path, most_strips: int = 64) -> npt.NDArray[Any]:
    """Return evenly spread strips of a TIFF's one plane: enough to choose a contrast.

    Raises as `read_window`.
    """
    try:
        with tifffile.TiffFile(path) as file:
            page = _one_page(path, file)
            count = len(page.dataoffsets)
            step = max(1, -(-count // most_strips))
            parts = [_strip(file, page, number) for number in range(0, count, step)]
    except READ_ERRORS as exc:
        raise DataError(f"{path} cannot be read as TIFF ({exc})") from exc
    return np.concatenate(parts)


def shape_of(path: Path) -> tuple[int, int]:
    """Return height and width of a TIFF's one plane. Raises as `read_window`."""
    try:
        with tifffile.TiffFile(path) as file:
            height, width = _one_page(path, file).shape
    except READ_ERRORS as exc:
        raise DataError(f"{path} cannot be read as TIFF ({exc})") from exc
    return height, width


def _one_page(path: Path, file: tifffile.TiffFile) -> tifffile.TiffPage:
    page = file.pages[0]
    if len(file.pages) != 1 or page.ndim != 2 or page.is_tiled:
        raise DataError(f"{path} holds more than one plane in strips")
    return page


def _strip(
    file: tifffile.TiffFile, page: tifffile.TiffPage, number: int
) -> npt.NDArray[Any]:
    file.filehandle.seek(page.dataoffsets[number])
    data = file.filehandle.read(page.databytecounts[number])
    decoded, _, _ = page.decode(data, number)
    high = min(page.rowsperstrip, page.shape[0] - number * page.rowsperstrip)
    return np.asarray(decoded).reshape(-1, page.shape[1])[:high]
