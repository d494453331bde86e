"""The slide: what its nuclei and loci are like, and that a seed fixes them."""

import math

import numpy as np
import pytest

from simulators.cells import Nucleus
from simulators.kinds import KINDS
from simulators.options import MountOptions, SimulationOptions, SpecimenKind
from simulators.specimen import TILES, Specimen, Tile


def slide(seed: int = 1, specimen: SpecimenKind = "demo") -> Specimen:
    return Specimen(SimulationOptions(seed=seed, specimen=specimen))


def patch(specimen: Specimen) -> list[Tile]:
    """Sixteen tiles around the origin: some 240 nuclei of tumour."""
    return [specimen.tile(i, j) for j in range(-2, 2) for i in range(-2, 2)]


def tumour(tiles: list[Tile]) -> list[Nucleus]:
    return [n for tile in tiles for n in tile.nuclei if n.kind == "tumour"]


@pytest.fixture(scope="module")
def demo() -> list[Tile]:
    return patch(slide())


def column(tiles: list[Tile], name: str) -> np.ndarray:
    return np.concatenate([getattr(tile.loci, name) for tile in tiles])


def of_tumour(tiles: list[Tile]) -> np.ndarray:
    return np.isin(column(tiles, "nucleus"), [n.nucleus for n in tumour(tiles)])


def test_a_seed_gives_the_same_tile_whatever_was_seen_before() -> None:
    once, again = slide(), slide()
    for i in range(3):
        again.tile(i, -1)
    first, second = once.tile(1, 1), again.tile(1, 1)
    assert first.nuclei == second.nuclei
    np.testing.assert_array_equal(first.loci.x_um, second.loci.x_um)


def test_another_seed_gives_another_slide() -> None:
    assert slide(1).tile(0, 0).nuclei != slide(2).tile(0, 0).nuclei


def test_numbers_of_nuclei_and_signals_are_unique(demo: list[Tile]) -> None:
    nuclei = [n.nucleus for tile in demo for n in tile.nuclei]
    assert len(set(nuclei)) == len(nuclei)
    signals = column(demo, "signal")
    assert len(np.unique(signals)) == len(signals)


def test_signal_numbers_fit_into_32_bits_in_the_last_corner_of_the_slide() -> None:
    loci = slide().tile(TILES - 1, TILES - 1).loci
    assert loci.signal.min() > 0


def test_a_small_field_holds_five_to_eight_nuclei(demo: list[Tile]) -> None:
    nuclei = [n for tile in demo for n in tile.nuclei]
    half = 2 * 33.3
    inside = [n for n in nuclei if abs(n.x_um) < half and abs(n.y_um) < half]
    assert 5.0 < len(inside) / 16 < 8.0


def test_tumour_nuclei_measure_nine_to_twelve_micrometres(demo: list[Tile]) -> None:
    lengths = np.array([2.0 * n.outline_a_um for n in tumour(demo)])
    assert np.all(lengths <= 12.0)
    assert np.mean(lengths > 9.0) > 0.85


def test_most_nuclei_are_cut(demo: list[Tile]) -> None:
    assert np.mean([n.cut for n in tumour(demo)]) > 0.9


def test_an_outline_is_the_widest_level_inside_the_section(demo: list[Tile]) -> None:
    for n in tumour(demo):
        levels = np.linspace(0.0, 3.0, 601)
        waist = np.sqrt(np.clip(1.0 - ((levels - n.z_um) / n.c_um) ** 2, 0.0, None))
        assert n.outline_a_um == pytest.approx(n.a_um * waist.max(), rel=1e-4)


def test_some_nuclei_touch_and_few_overlap(demo: list[Tile]) -> None:
    nuclei = [n for tile in demo for n in tile.nuclei]
    gaps = np.array([min(gap(n, m) for m in nuclei if m is not n) for n in nuclei])
    assert 0.1 < np.mean(np.abs(gaps) < 0.4) < 0.6
    assert np.mean(gaps < -1.0) < 0.1


def gap(one: Nucleus, other: Nucleus) -> float:
    """Return about how far outlines are apart along the line of centres."""
    dx, dy = other.x_um - one.x_um, other.y_um - one.y_um
    turn = math.atan2(dy, dx)
    return math.hypot(dx, dy) - sum(
        math.hypot(
            n.outline_a_um * math.cos(turn - n.angle_rad),
            n.outline_b_um * math.sin(turn - n.angle_rad),
        )
        for n in (one, other)
    )


def test_a_fifth_to_two_fifths_of_tumour_nuclei_are_replicated(
    demo: list[Tile],
) -> None:
    assert 0.2 < np.mean([n.phase == "S/G2" for n in tumour(demo)]) < 0.4


def test_sisters_are_of_her2_in_replicated_nuclei_and_apart(demo: list[Tile]) -> None:
    replicated = {n.nucleus for n in tumour(demo) if n.phase == "S/G2"}
    doublet = column(demo, "doublet")
    assert set(column(demo, "nucleus")[doublet]) <= replicated
    assert column(demo, "is_her2")[doublet].all()
    places = np.column_stack([column(demo, axis) for axis in ("x_um", "y_um", "z_um")])
    copies = column(demo, "copy")[doublet]
    order = np.argsort(copies, kind="stable")
    pairs = places[doublet][order].reshape(-1, 2, 3)
    distance = np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=1)
    assert 0.2 <= distance.min() < 0.25
    assert 0.75 < distance.max() <= 0.8


def test_a_copy_has_one_signal_or_two(demo: list[Tile]) -> None:
    _, signals = np.unique(column(demo, "copy"), return_counts=True)
    assert set(signals) == {1, 2}
    assert signals.sum() - len(signals) == column(demo, "doublet").sum() / 2


def test_loci_outside_the_section_are_listed_but_not_in_it(demo: list[Tile]) -> None:
    z, inside = column(demo, "z_um"), column(demo, "in_section")
    np.testing.assert_array_equal(inside, (z >= 0.0) & (z <= 3.0))
    assert 0.3 < inside[of_tumour(demo)].mean() < 0.5


def test_loci_lie_inside_their_nucleus(demo: list[Tile]) -> None:
    for tile in demo[:4]:
        for n in tile.nuclei:
            loci = tile.loci
            mine = (loci.nucleus == n.nucleus) & ~loci.doublet
            dx, dy = loci.x_um[mine] - n.x_um, loci.y_um[mine] - n.y_um
            cos, sin = math.cos(n.angle_rad), math.sin(n.angle_rad)
            u, v = (dx * cos + dy * sin) / n.a_um, (dy * cos - dx * sin) / n.b_um
            w = (loci.z_um[mine] - n.z_um) / n.c_um
            assert np.all(u**2 + v**2 + w**2 < 1.0)


@pytest.mark.parametrize("kind", list(KINDS))
def test_tumour_cells_carry_the_copies_of_their_kind(kind: SpecimenKind) -> None:
    tiles = [slide(3, kind).tile(i, 0) for i in range(-2, 2)]
    copies, nuclei = np.unique(column(tiles, "copy"), return_index=True)
    assert copies.size
    owner = column(tiles, "nucleus")[nuclei]
    is_her2 = column(tiles, "is_her2")[nuclei]
    for n in tumour(tiles):
        assert KINDS[kind].her2[0] <= np.sum(is_her2[owner == n.nucleus])
        assert np.sum(is_her2[owner == n.nucleus]) <= KINDS[kind].her2[1]
        assert KINDS[kind].cep17[0] <= np.sum(~is_her2[owner == n.nucleus])
        assert np.sum(~is_her2[owner == n.nucleus]) <= KINDS[kind].cep17[1]


def test_the_demo_is_clearly_of_group_one(demo: list[Tile]) -> None:
    seen = column(demo, "in_section") & of_tumour(demo)
    her2 = np.sum(seen & column(demo, "is_her2"))
    cep17 = np.sum(seen & ~column(demo, "is_her2"))
    assert her2 / len(tumour(demo)) > 5.0
    assert her2 / cep17 > 3.0


def test_copies_of_a_clustered_kind_lie_closer_than_dispersed_ones() -> None:
    def nearest(kind: SpecimenKind) -> float:
        tile = slide(2, kind).tile(0, 0)
        first = tile.nuclei[0].nucleus
        mine = (tile.loci.nucleus == first) & tile.loci.is_her2
        mine &= tile.loci.signal == tile.loci.copy
        places = np.column_stack([tile.loci.x_um, tile.loci.y_um, tile.loci.z_um])[mine]
        apart = np.linalg.norm(places[:, None] - places[None], axis=2)
        return float(np.median(np.sort(apart, axis=1)[:, 1]))

    assert nearest("clustered") < 0.5 * nearest("demo")


def test_normal_tissue_has_no_tumour() -> None:
    nuclei = [n for tile in patch(slide(1, "normal_tissue")) for n in tile.nuclei]
    assert {n.kind for n in nuclei} == {"normal", "stroma"}
    assert {n.region for n in nuclei} == {"other"}


def test_a_slide_of_tumour_has_other_regions_too() -> None:
    far = slide()
    regions = {
        n.region for i in range(-9, 10) for n in far.tile(i, 9).nuclei if n is not None
    }
    assert regions == {"invasive", "other"}


def test_beyond_the_slide_is_bare_glass() -> None:
    assert slide().near(20_000.0, 0.0, (20.0, 20.0)) == []


def side_by_side() -> Specimen:
    options = SimulationOptions(
        mounts=(
            MountOptions(specimen="normal_tissue", seed=5, x_um=0.0, y_um=0.0),
            MountOptions(specimen="monosomic", seed=6, x_um=900.0, y_um=0.0),
        )
    )
    return Specimen(options)


def test_of_sections_side_by_side_a_place_belongs_to_the_nearest() -> None:
    specimen = side_by_side()
    assert specimen.kind_at(100.0, 0.0) is KINDS["normal_tissue"]
    far = specimen.tile(17, 0)
    assert specimen.kind_of(far) is KINDS["monosomic"]
    assert {n.kind for n in far.nuclei} <= {"tumour", "stroma"}
    assert not tumour([specimen.tile(0, 0)])


def test_one_section_alone_is_the_slide_of_its_kind_and_seed() -> None:
    mounts = (MountOptions(specimen="clustered", seed=9, x_um=0.0, y_um=0.0),)
    mounted = Specimen(SimulationOptions(seed=1, mounts=mounts)).tile(0, 1)
    alone = slide(9, "clustered").tile(0, 1)
    assert mounted.nuclei == alone.nuclei
    np.testing.assert_array_equal(mounted.loci.z_um, alone.loci.z_um)


def test_a_bad_cut_leaves_caps_that_hold_few_copies() -> None:
    grazed, usual = (patch(slide(3, kind)) for kind in ("badly_cut", "normal"))
    for nucleus in tumour(grazed):
        outside = max(-nucleus.z_um, nucleus.z_um - 3.0)
        assert 0.2 * nucleus.c_um <= outside <= 0.62 * nucleus.c_um
    shares = [
        column(tiles, "in_section")[of_tumour(tiles)].mean()
        for tiles in (grazed, usual)
    ]
    assert shares[0] < 0.6 * shares[1]
