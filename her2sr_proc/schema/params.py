"""Settings of localizing and rendering, and the locked profiles that hold all others.

A result names its profile and its digest, so that two results can be compared.
"""

from __future__ import annotations

import hashlib
import math
from typing import Literal

from pydantic import Field

from her2sr_proc.schema.count_params import CountParams, EnsembleParams, NucleiParams
from her2sr_proc.schema.model import Frozen
from her2sr_proc.schema.score_params import ScoreParams
from her2sr_proc.schema.threshold import CleaningParams

ProfileName = Literal["paper", "recommended"]


class LocalizeParams(Frozen):
    """How spots are found and fitted in one frame."""

    sigma_px: float = Field(
        default=0.68,
        gt=0.3,
        le=5,
        description="width of a spot in focus; everything else follows from it",
    )
    detector: Literal["matched", "wavelet"] = Field(
        default="matched",
        description="matched: the spot's own shape at a set rate of false spots; "
        "wavelet: as ThunderSTORM, by thresholds",
    )
    estimator: Literal["mle", "wlsq", "lsq"] = Field(
        default="mle",
        description="mle: maximum likelihood with the camera's model; wlsq, lsq: least "
        "squares as ThunderSTORM, weighted or not, of every spot alone, width free",
    )
    false_per_mpx: float = Field(
        default=5.0,
        gt=0,
        le=10_000,
        description="spots that noise alone may make in a megapixel of one frame",
    )
    width: Literal["known", "doubted", "free"] = Field(
        default="doubted",
        description="known: sigma_px; free: fitted for every spot; doubted: fitted "
        "where the spot speaks against sigma_px",
    )
    width_doubt: float = Field(
        default=3.5,
        gt=0,
        le=100,
        description="deviations of the score test from which a width is doubted",
    )
    narrowest: float = Field(
        default=0.6,
        gt=0,
        lt=1,
        description="of sigma_px; narrower is a hot pixel and dropped",
    )
    maximum_sigma_px: float | None = Field(
        default=None,
        gt=0.5,
        le=20,
        description="wider is kept at this width; none: the radius of the box",
    )
    fit_radius_px: int | None = Field(
        default=None,
        ge=1,
        le=15,
        description="box = 2 r + 1; none: 2.6 widths of a spot",
    )
    emitters: Literal["single", "multi"] = Field(
        default="multi",
        description="multi: spots that overlap, or do not look like one, are fitted "
        "together",
    )
    split_p_value: float = Field(
        default=1e-5,
        gt=0,
        lt=1,
        description="of the likelihood-ratio test by which one emitter becomes two",
    )
    misfit: float = Field(
        default=4.0,
        gt=0,
        description="deviations of a fit's deviance from which a lone spot is doubted",
    )
    threshold_factor: float = Field(
        default=1.5,
        gt=0,
        le=20,
        description="wavelet: times std of the first wavelet plane",
    )
    threshold: str | None = Field(
        default=None,
        max_length=500,
        description="wavelet: formula of planes that gives the threshold in "
        "photo-electrons, as ThunderSTORM's; none: threshold_factor",
    )
    clip_deviations: float = Field(
        default=50.0,
        ge=0,
        description="wavelet: values beyond this multiple of the pixel's own noise "
        "count as that in the std; 0: plain std",
    )
    noise_factor: float = Field(
        default=5.0,
        ge=0,
        le=50,
        description="wavelet: times the pixel's own noise in the second plane; "
        "a maximum must pass both thresholds",
    )
    line_ratio: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="wavelet: a maximum that stays above this share of its height four "
        "pixels away on both sides stands on a fibre or an edge; 1 keeps it",
    )
    wavelet_scale: float = Field(default=2.0, gt=0, le=10)
    wavelet_order: int = Field(default=3, ge=1, le=5)
    border_px: int = Field(default=1, ge=0, le=100, description="no maxima in it")
    maximum_shift_px: float = Field(
        default=2.0, gt=0, le=20, description="of a fit from the pixel it was found at"
    )
    max_iterations: int = Field(default=50, ge=1, le=1000)

    @property
    def tells_ensembles(self) -> bool:
        """Whether a frame of ensemble light is told from others, and fitted so."""
        return self.width == "doubted" and self.emitters == "multi"

    @property
    def radius_px(self) -> int:
        """Return the radius of the box that a spot is fitted in."""
        return self.fit_radius_px or max(2, math.ceil(2.6 * self.sigma_px))

    @property
    def sigma_range_px(self) -> tuple[float, float]:
        """Return the narrowest and widest width that a fit may end with."""
        widest = self.maximum_sigma_px or float(self.radius_px)
        return self.narrowest * self.sigma_px, max(widest, 1.2 * self.sigma_px)


PAPER_LOCALIZE = LocalizeParams(
    sigma_px=1.6,
    detector="wavelet",
    threshold="std(Wave.F1)",
    clip_deviations=0.0,
    noise_factor=0.0,
    line_ratio=1.0,
    border_px=0,
    estimator="wlsq",
    width="free",
    emitters="single",
    fit_radius_px=3,
    maximum_shift_px=5.0,
    max_iterations=1000,
)
"""ThunderSTORM 1.3 at its defaults, which the paper used."""


class RenderParams(Frozen):
    """How a super-resolution image is drawn."""

    pixel_nm: float = Field(default=20.0, gt=0, le=1000)
    method: Literal["gaussian", "histogram", "ash"] = Field(
        default="gaussian",
        description="ash: average of histograms shifted by half of a bin of two pixels",
    )
    fixed_sigma_nm: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="of every Gaussian; none: its own uncertainty",
    )
    minimum_sigma_nm: float = Field(default=10.0, ge=0, le=1000)
    maximum_uncertainty_nm: float = Field(
        default=120.0,
        gt=0,
        le=10_000,
        description="worse is not drawn; a blob's middle is a blob's width uncertain",
    )


class Profile(Frozen):
    """A locked set of parameters for the whole way from frames to answer."""

    version: Literal[1] = 1
    name: ProfileName = "recommended"
    cleaning: CleaningParams | None = Field(
        default=None, description="of frames before they are localized; none: as read"
    )
    localize: LocalizeParams = LocalizeParams()
    render: RenderParams = RenderParams()
    nuclei: NucleiParams = NucleiParams()
    count: CountParams = CountParams()
    ensemble: EnsembleParams = EnsembleParams()
    score: ScoreParams = ScoreParams(lacking="section")

    @property
    def headline(self) -> Literal["sr", "sr_merged"]:
        """Return the arm whose answer leads: the paper counts what is resolved."""
        return "sr" if self.name == "paper" else "sr_merged"

    @property
    def digest(self) -> str:
        """Return the first 16 hex digits of SHA-256 over the canonical JSON."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


PAPER_RENDER = RenderParams(
    pixel_nm=26.0, minimum_sigma_nm=0.0, maximum_uncertainty_nm=10_000.0
)
"""ThunderSTORM's normalized Gaussian at magnification 5 of 130 nm, nothing filtered."""
PROFILES = (
    Profile(),
    Profile(
        name="paper",
        cleaning=CleaningParams(),
        localize=PAPER_LOCALIZE,
        render=PAPER_RENDER,
        count=CountParams(clusters="cap", ambiguous="paper"),
        score=ScoreParams(mode="paper"),
    ),
)
"""What the locked files say; `her2sr_proc.store.profiles` reads them."""
