"""Whatever numbers come: a probability, or one sentence; never NaN, never a warning."""

import contextlib
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from her2sr_proc.errors import RequestError
from her2sr_proc.statistics.agreement import bland_altman, icc, kappa
from her2sr_proc.statistics.contingency import chi_squared, fisher, mcnemar
from her2sr_proc.statistics.ranks import mann_whitney, paired_t, wilcoxon
from her2sr_proc.statistics.regression import threshold_line
from her2sr_proc.statistics.summary import clopper_pearson, summarize

value = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e-300, 8.5e-298, 5e-324, 1e29, -1e308, 0.1 + 0.2, 0.3]),
)
values = st.lists(value, max_size=7)
cells = st.integers(-1, 6)
table = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=4
    )
)


def is_told(outcome) -> bool:
    line = outcome.describe()
    return 0 < outcome.p <= 1 + 1e-12 and "nan" not in line and "\n" not in line


@settings(max_examples=150, deadline=None)
@given(values, values)
def test_any_two_lists(a, b):
    for test in (mann_whitney, wilcoxon):
        for exactness in ("exact", "asymptotic"):
            with contextlib.suppress(RequestError):
                assert is_told(test(a, b, exactness=exactness))
    with contextlib.suppress(RequestError):
        found = paired_t(a, b)
        assert 0 <= found.p <= 1  # below what a float can tell, 0
        assert "nan" not in found.describe()
    with contextlib.suppress(RequestError):
        found = bland_altman(a, b)
        assert found.lower_limit <= found.bias <= found.upper_limit
        assert found.slope is None or math.isfinite(found.slope)
        assert found.slope_p is None or 0 <= found.slope_p <= 1
    with contextlib.suppress(RequestError):
        found = summarize(a)
        assert found.minimum <= found.q1 <= found.median <= found.q3 <= found.maximum


@settings(max_examples=150, deadline=None)
@given(table)
def test_any_table(counts):
    for test in (chi_squared, fisher):
        with contextlib.suppress(RequestError):
            assert is_told(test(counts))
    for weights in ("none", "linear", "quadratic"):
        with contextlib.suppress(RequestError):
            found = kappa(counts, weights)
            assert -1 - 1e-9 <= found.kappa <= 1 + 1e-9
            assert math.isfinite(found.standard_error)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(value, min_size=2, max_size=3), max_size=5))
def test_any_ratings(ratings):
    with contextlib.suppress(RequestError):
        found = icc(ratings)
        low, high = found.interval_95
        assert low - 1e-9 <= found.icc <= min(1.0, high) + 1e-9


@settings(max_examples=100, deadline=None)
@given(st.integers(-2, 40), st.integers(-2, 40))
def test_any_two_counts(a, b):
    for exactness in ("exact", "asymptotic"):
        for continuity in (False, True):
            with contextlib.suppress(RequestError):
                assert is_told(
                    mcnemar(a, b, exactness=exactness, continuity=continuity)
                )
    with contextlib.suppress(RequestError):
        found = clopper_pearson(a, b)
        assert 0 <= found.low <= found.share <= found.high <= 1


@settings(max_examples=100, deadline=None)
@given(values, values, values)
def test_any_thresholds(mean, sd, chosen):
    with contextlib.suppress(RequestError):
        found = threshold_line(mean, sd, chosen)
        assert math.isfinite(found.left_out_rmse_adu)
        assert found.r_squared <= 1 + 1e-9
