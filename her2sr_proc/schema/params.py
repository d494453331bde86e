"""The settings of every processing step, and the locked profiles that name them.

A result names its profile and its digest, so that two results can be compared.
"""

from __future__ import annotations

import hashlib
import math
from typing import Literal

from pydantic import Field

from her2sr_proc.schema.model import Frozen
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


class NucleiParams(Frozen):
    """How nuclei are found in the mean DAPI image."""

    method: str = Field(
        default="network",
        pattern=r"^(network|classical|plugin:[A-Za-z0-9_.-]+)$",
        description="network: the shipped U-Net, or classical where it cannot run; "
        "plugin:NAME: a segmenter of the entry points her2sr.segmenters",
    )
    smooth_um: float = Field(default=0.25, ge=0, le=10)
    minimum_contrast: float = Field(
        default=20.0,
        gt=0,
        description="range of the image over its noise, below which it holds no nuclei",
    )
    outline_reach_um: float = Field(
        default=3.0,
        gt=0,
        le=50,
        description="how far the brightest point of a faint nucleus is looked for",
    )
    faintest: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="of Otsu's level over the dark, below which nothing is a nucleus",
    )
    split_smooth: float = Field(
        default=0.12, ge=0, le=1, description="of the typical radius"
    )
    split_depth: float = Field(
        default=0.05,
        gt=0,
        le=1,
        description="of the typical radius: a waist this deep parts two nuclei",
    )
    debris_area_um2: float = Field(default=5.0, ge=0, description="not labelled at all")
    minimum_area_um2: float = Field(default=20.0, ge=0)
    maximum_area_um2: float = Field(default=250.0, gt=0)
    minimum_solidity: float = Field(default=0.85, ge=0, le=1)
    maximum_overlap: float = Field(
        default=0.03,
        ge=0,
        le=1,
        description="part of a nucleus that is brighter than it by a neighbour's light",
    )
    widest_edge_um: float = Field(
        default=1.8,
        gt=0,
        le=50,
        description="of an outline in focus, from its foot to its top",
    )
    typical_radius_um: float = Field(default=4.5, gt=0, le=50)


class SpotParams(Frozen):
    """How spots are told from noise and from each other, in every arm alike."""

    prominence: float = Field(
        default=5.5, gt=0, description="of a maximum, over the noise of its image"
    )
    model_error: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="what a found spot may leave behind, over its height",
    )
    over_model: float = Field(
        default=0.5,
        ge=0,
        description="a spot beside others must exceed this times their light",
    )
    apart: float = Field(
        default=1.5,
        ge=0,
        description="what is left nearer to a found spot, in its widths, is its own",
    )
    passes: int = Field(default=3, ge=1, le=20)


class CountParams(Frozen):
    """How signals are counted in one nucleus, in every arm alike."""

    spots: SpotParams = SpotParams()
    fine_nm: float = Field(
        default=130.0, gt=0, le=1000, description="narrow smoothing of every image"
    )
    coarse_nm: float = Field(
        default=260.0, gt=0, le=2000, description="wide smoothing of every image"
    )
    probe_sigma_nm: float = Field(
        default=85.0, gt=0, le=1000, description="width of a probe's blob"
    )
    minimum_strength: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="over a typical signal: less is a stray dye or another colour",
    )
    conventional_strength: float = Field(
        default=0.55,
        gt=0,
        le=1,
        description="the same of wide spots of the conventional arm: haze looks like "
        "a weak signal out of focus, and one out of focus loses no light",
    )
    haze_nm: float = Field(
        default=400.0,
        gt=0,
        le=5000,
        description="standard deviation of a conventional spot from which it is wide",
    )
    doubt: float = Field(
        default=1.4,
        ge=1,
        le=10,
        description="a signal within this factor of the limit is ambiguous",
    )
    typical_light_e: float = Field(
        default=18_000.0,
        gt=0,
        description="photo-electrons a frame of a signal at the start of a burst; the "
        "device's value, which the field's own signals overrule",
    )
    typical_fluctuation_e2: float = Field(
        default=40_000.0,
        gt=0,
        description="variance of that light over the burst; the device's value",
    )
    conventional_fwhm_nm: float = Field(
        default=400.0,
        gt=0,
        le=5000,
        description="of a conventional signal in focus; the device's value",
    )
    device_weight: float = Field(
        default=4.0,
        gt=0,
        description="isolated signals that weigh as much as the device's values",
    )
    merge_nm: float = Field(
        default=800.0,
        ge=0,
        le=5000,
        description="widest pair taken as a sister doublet, whatever was measured",
    )
    merge_chance: float = Field(
        default=0.25,
        gt=0,
        le=10,
        description="pairs of a nucleus's signals that chance may bring nearer than "
        "sisters are looked for; more: nearer ones only",
    )
    clusters: Literal["estimate", "cap", "resolved"] = Field(
        default="estimate",
        description="a dense region with more light than its signals explain: "
        "estimate: counted by its light; cap: its nucleus counts as more than four, as "
        "in the paper; resolved: counted as resolved",
    )
    ambiguous: Literal["limit", "paper"] = Field(
        default="limit",
        description="a nucleus is ambiguous when: limit: a signal stands so near the "
        "limit of strength that it may go; paper: that, or its signals cannot be told "
        "apart",
    )
    cluster_excess: float = Field(
        default=2.0, ge=0.5, description="copies that light must tell beyond resolved"
    )
    cluster_deviations: float = Field(
        default=2.5,
        ge=0,
        description="of the light of as many single signals, likewise",
    )
    light_error: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="relative, of a region's light: ground, and light of neighbours",
    )
    minimum_isolated: int = Field(
        default=30,
        ge=2,
        description="isolated signals of a channel that calibrate it; fewer: the "
        "device's value, flagged",
    )
    typical_scatter: float = Field(
        default=0.4,
        gt=0,
        le=2,
        description="relative, of the light of single signals; the device's value",
    )
    minimum_sparse_frames: int = Field(
        default=100,
        ge=2,
        description="after the ensemble phase, without which its events do not count",
    )
    minimum_localizations: int = Field(
        default=5,
        ge=0,
        description="a sharp signal with fewer is a flickering pixel of the camera",
    )
    margin_um: float = Field(
        default=0.8,
        ge=0,
        le=5,
        description="signals this far outside an outline are of the nucleus: it thins "
        "out towards its rim",
    )
    conventional_frames: int = Field(default=33, ge=1, le=1000)
    minimum_frames_share: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="of an imported movie, below which its nuclei are not scored; a "
        "burst taken by this program must be whole",
    )


class EnsembleParams(Frozen):
    """What ends the ensemble phase of a burst."""

    single: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="share of localizations at loci that are of one lit dye, from "
        "which the ensemble phase is over",
    )
    resamples: int = Field(
        default=200, ge=20, le=100_000, description="over loci, for the interval"
    )
    least: float = Field(
        default=8.0, gt=0, description="localizations of the faintest locus that tells"
    )
    seed: int = Field(
        default=1, ge=0, description="of the resampling, so that a re-run matches"
    )


class LociParams(Frozen):
    """How loci are told from stray dyes and from each other, in a table."""

    blob_nm: float = Field(
        default=85.0, gt=0, le=1000, description="standard deviation of a probe's blob"
    )
    least: float = Field(
        default=8.0, gt=0, description="localizations of the faintest locus looked at"
    )
    split_p_value: float = Field(
        default=0.002,
        gt=0,
        lt=0.5,
        description="of the likelihood-ratio test by which one locus becomes two",
    )
    least_molecules: float = Field(
        default=4.0,
        ge=1,
        description="worth of independent dyes; what shows fewer is a stray dye",
    )
    blink_reach: float = Field(
        default=1.6,
        ge=1,
        description="photons over one dye's, above which a fit may be of two",
    )
    maximum_uncertainty_nm: float = Field(
        default=60.0, gt=0, le=1000, description="of a row that takes part in the test"
    )
    most_loci: int = Field(default=6, ge=1, le=50, description="of one clump")


class ScoreParams(Frozen):
    """When a group may be called definite."""

    mode: Literal["guideline", "paper"] = Field(
        default="guideline",
        description="guideline: ratio and mean over the same nuclei; paper: the ratio "
        "over nuclei with CEP17, the mean over all",
    )
    minimum_nuclei: int = Field(
        default=20, ge=1, description="ASCO/CAP 2018: at least 20 invasive nuclei"
    )
    minimum_areas: int = Field(
        default=2, ge=1, description="ASCO/CAP: at least two areas of invasive tumour"
    )
    definite_probability: float = Field(
        default=0.95, gt=0.5, lt=1, description="of the group, with all known errors"
    )
    maximum_lacking: float = Field(
        default=0.25,
        gt=0,
        le=1,
        description="of nuclei that lack a colour; guideline",
    )
    lacking: Literal["guideline", "section"] = Field(
        default="guideline",
        description="what that share is of: guideline: all nuclei; section: those to "
        "which the cut leaves both colours of two copies each",
    )
    section_um: float = Field(
        default=3.0, gt=0, le=50, description="thickness of the laboratory's sections"
    )
    nucleus_um: float = Field(
        default=6.0,
        gt=0,
        le=50,
        description="height of a tumour nucleus across the section",
    )
    maximum_weak: float = Field(
        default=0.25, gt=0, le=1, description="of nuclei with weak signals; guideline"
    )
    minimum_her2_per_nucleus: float = Field(
        default=0.5, ge=0, description="fewer: the HER2 probe cannot be judged"
    )
    minimum_ratio: float = Field(
        default=0.6,
        ge=0,
        lt=2,
        description="rare in tissue below it, usual when channels are swapped",
    )
    maximum_cytoplasm: float = Field(
        default=0.1, gt=0, le=1, description="of signals over cytoplasm; guideline"
    )
    maximum_autofluorescence: float = Field(
        default=0.1, gt=0, le=1, description="of signals that shine in every channel"
    )
    maximum_crosstalk: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="of the rarer colour's signals on one of the other, beyond chance",
    )
    minimum_resolution: float = Field(
        default=0.3, ge=0, le=1, description="median quality of the nuclei"
    )
    maximum_ambiguous: float = Field(
        default=0.5, gt=0, le=1, description="of nuclei, above which nobody signs"
    )
    focus_relative_sd: float = Field(
        default=0.029,
        ge=0,
        le=1,
        description="of the ratio: colours focused 150 nm apart see 5 % of a 3 um "
        "section differently; uniform within that",
    )
    registration_relative_sd: float = Field(
        default=0.004,
        ge=0,
        le=1,
        description="of the ratio: colours 50 nm apart lose 0.7 % of a nucleus of "
        "9 um at its rim; uniform within that",
    )
    counter_relative_sd: float = Field(
        default=0.03,
        ge=0,
        le=1,
        description="of the ratio: what the counter may err in common for all nuclei",
    )
    trend_level: float = Field(
        default=0.01, gt=0, lt=0.5, description="p of a trend that blocks sign-off"
    )
    resamples: int = Field(default=4000, ge=100, le=1_000_000)
    seed: int = Field(
        default=2018, ge=0, description="of the resampling, so that a re-run matches"
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
