"""How nuclei are found, and what in them counts as one signal."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from her2sr_proc.schema.model import Frozen


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
