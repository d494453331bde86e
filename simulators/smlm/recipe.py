"""What a movie for measuring localizers is made of. Knows no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scene = Literal["uniform", "nuclei"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One kind of movie; everything that chance decides follows from a seed."""

    name: str
    scene: Scene
    frames: int
    side_px: int
    pixel_nm: float
    sigma_px: float
    photons: float
    """Mean of a blink."""
    background: tuple[float, float]
    """Photo-electrons a pixel: least and most of the frame's structure."""
    density_um2: float = 0.0
    """Emitters a square micrometre and frame, where they are everywhere."""
    loci: int = 0
    """Of each nucleus, where emitters are at loci."""
    on: float = 0.0
    """Chance that a locus blinks in a frame."""
    locus_sd_nm: float = 0.0
    """Spread of the blinks of one locus, each axis."""
    photons_sd: float = 0.4
    """Standard deviation of the logarithm of a blink's photons."""
    margin_px: float = 5.0
    """No emitter lies nearer to the edge."""

    @property
    def area_um2(self) -> float:
        """Where emitters may lie."""
        side_um = (self.side_px - 2 * self.margin_px) * self.pixel_nm / 1000.0
        return side_um * side_um


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="sparse",
            scene="uniform",
            frames=300,
            side_px=256,
            pixel_nm=100.0,
            sigma_px=1.3,
            photons=1500.0,
            background=(20.0, 20.0),
            density_um2=0.1,
        ),
        Recipe(
            name="dim",
            scene="uniform",
            frames=300,
            side_px=256,
            pixel_nm=100.0,
            sigma_px=1.3,
            photons=400.0,
            background=(40.0, 40.0),
            density_um2=0.1,
        ),
        Recipe(
            name="dense",
            scene="uniform",
            frames=60,
            side_px=256,
            pixel_nm=100.0,
            sigma_px=1.3,
            photons=1500.0,
            background=(20.0, 20.0),
            density_um2=1.0,
        ),
        Recipe(
            name="nuclei",
            scene="nuclei",
            frames=600,
            side_px=256,
            pixel_nm=100.0,
            sigma_px=1.3,
            photons=1200.0,
            background=(25.0, 100.0),
            loci=14,
            on=0.12,
            locus_sd_nm=40.0,
        ),
        Recipe(
            name="blinks",
            scene="nuclei",
            frames=300,
            side_px=512,
            pixel_nm=130.0,
            sigma_px=0.68,
            photons=700.0,
            background=(40.0, 190.0),
            loci=14,
            on=0.12,
            locus_sd_nm=40.0,
        ),
        Recipe(
            name="instrument",
            scene="nuclei",
            frames=300,
            side_px=256,
            pixel_nm=130.0,
            sigma_px=0.66,
            photons=350.0,
            background=(100.0, 450.0),
            loci=14,
            on=0.12,
            locus_sd_nm=85.0,
        ),
    )
}
"""The movies of the published comparison, by name; `instrument` is dimmer and brighter
beneath, as the microscope's sparse phase is, but in focus and without hot pixels."""
