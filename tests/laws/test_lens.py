"""All lenses see the same: log-densities and moments agree with each other and with plain sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_lvm.core.covariance import Full
from sklearn_lvm.core.gaussian import Gaussians
from sklearn_lvm.core.lens import NaturalLens, ResidualLens, SharedLens, SplitLens, row_width
from sklearn_lvm.core.moments import Moments

from .specs import (
    FAMILIES,
    PART,
    Family,
    components,
    every_family,
    every_separate_family,
    every_structure,
    features,
    plain_log_prob,
    plain_moments,
    seeds,
)

N = 40
SEEN_BY = {
    NaturalLens: FAMILIES,
    ResidualLens: FAMILIES,
    SharedLens: [family for family in FAMILIES if family.tied],
}
every_pure_lens = pytest.mark.parametrize(
    ("make", "family"),
    [
        pytest.param(make, family, id=f"{make.__name__}-{family}")
        for make, families in SEEN_BY.items()
        for family in families
    ],
)


def scene(family, seed, K, d):
    """Gaussians, rows (n, d), and responsibilities (K, n)."""
    rng = np.random.default_rng(seed)
    resp = rng.dirichlet(np.ones(K), size=N).T * rng.uniform(0.1, 3, N)
    return family.gaussians(K, d, rng), rng.normal(size=(N, d)), resp


def offset(gaussians):
    """Something to add to each log-density, like a log-weight."""
    return np.linspace(-1.0, 2.0, len(gaussians.mean))


def plain_sums(gaussians, rows, resp):
    """Moments by plain sums."""
    weight, mean, scatter = plain_moments(rows, resp)
    structure = gaussians.covariance.structure
    stored, pooled = PART[type(structure)](scatter), structure.pooled
    return Moments(weight, pooled(weight), mean, pooled(stored), structure)


def same(found, expected, rtol=1e-9, atol=1e-9):
    assert found.dof.shape == found.scatter.shape[:1]
    assert_allclose(found.weight, expected.weight, rtol=1e-12)
    assert_allclose(found.dof, expected.dof, rtol=1e-12)
    assert_allclose(found.mean, expected.mean, rtol=rtol, atol=atol)
    assert_allclose(found.scatter, expected.scatter, rtol=rtol, atol=atol)


def check(lens, gaussians, rows, resp):
    """The lens against plain sums."""
    seen = lens.look(rows.T)
    plain = plain_log_prob(gaussians, rows) + offset(gaussians)[:, None]
    assert_allclose(lens.log_prob(seen), plain, rtol=1e-9, atol=1e-9)
    same(lens.sums(seen, resp).moments(), plain_sums(gaussians, rows, resp))


@every_pure_lens
@given(seed=seeds, K=components, d=features)
def test_a_lens_sees_what_plain_sums_see(make, family, seed, K, d):
    gaussians, rows, resp = scene(family, seed, K, d)
    check(make(gaussians, offset(gaussians)), gaussians, rows, resp)


@every_separate_family
@given(seed=seeds, d=features, safe=st.lists(st.booleans(), min_size=2, max_size=5))
def test_a_split_lens_sees_what_plain_sums_see(family, seed, d, safe):
    safe = np.array([True, False, *safe])
    gaussians, rows, resp = scene(family, seed, len(safe), d)
    order = np.random.default_rng(seed).permutation(len(safe))
    check(SplitLens(gaussians, offset(gaussians), safe[order]), gaussians, rows, resp)


@every_family
@given(seed=seeds, K=components, d=features)
def test_the_chosen_lens_sees_what_plain_sums_see(family, seed, K, d):
    gaussians, rows, resp = scene(family, seed, K, d)
    check(gaussians.lens(offset(gaussians)), gaussians, rows, resp)


@every_pure_lens
@given(seed=seeds, cut=st.integers(1, N - 1))
def test_blocks_equal_the_whole(make, family, seed, cut):
    gaussians, rows, resp = scene(family, seed, 3, 2)
    lens = make(gaussians, offset(gaussians))
    whole = lens.sums(lens.look(rows.T), resp).moments()
    halves = [
        lens.sums(lens.look(np.ascontiguousarray(rows[part].T)), resp[:, part])
        for part in (slice(None, cut), slice(cut, None))
    ]
    for joined in (halves[0] + halves[1], halves[1] + halves[0]):
        same(joined.moments(), whole, rtol=1e-10, atol=1e-10)


@every_pure_lens
@pytest.mark.parametrize("nothing", [0.0, 1e-120, 1e-310])
def test_a_gaussian_that_sees_nothing_keeps_its_mean(make, family, nothing):
    gaussians, rows, resp = scene(family, 0, 3, 2)
    resp[1] = nothing
    lens = make(gaussians, offset(gaussians))
    moments = lens.sums(lens.look(rows.T), resp).moments()
    assert moments.weight[1] == 0.0
    assert_allclose(moments.mean[1], gaussians.mean[1], rtol=1e-14)
    others = plain_sums(gaussians, rows, resp[[0, 2]])
    assert_allclose(moments.scatter.sum(axis=0), others.scatter.sum(axis=0), rtol=1e-12)
    if not family.tied:
        assert not moments.scatter[1].any()
        assert not moments.dof[1]


def tight(family, size, K=3, d=2):
    """Gaussians of standard deviation ``size`` at distance one, and rows inside each of them."""
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(K, d))
    gaussians = Gaussians(mean, family.from_dense(size**2 * family.matrices(K, d, rng)))
    rows = (mean[:, None] + size * rng.normal(size=(K, N, d))).reshape(-1, d)
    return gaussians, rows, np.repeat(np.eye(K), N, axis=1)


@every_family
@pytest.mark.parametrize("size", [1e-2, 1e-4, 1e-6])
def test_tight_gaussians_keep_their_digits(family, size):
    gaussians, rows, resp = tight(family, size)
    lens = gaussians.lens(offset(gaussians))
    found = lens.sums(lens.look(rows.T), resp).moments()
    plain = plain_sums(gaussians, rows, resp)
    assert_allclose(found.mean, plain.mean, rtol=0, atol=1e-9 * size)
    assert_allclose(found.scatter, plain.scatter, rtol=0, atol=1e-9 * plain.scatter.max())


def test_a_tied_covariance_is_seen_once_unless_it_is_tight():
    family = Family(Full, True)
    wide, narrow = family.gaussians(3, 2, np.random.default_rng(0)), tight(family, 1e-6)[0]
    assert isinstance(wide.lens(offset(wide)), SharedLens)
    assert isinstance(narrow.lens(offset(narrow)), ResidualLens)


@every_separate_family
def test_only_the_gaussians_that_would_lose_digits_are_seen_as_residuals(family):
    rng = np.random.default_rng(0)
    wide, narrow = family.gaussians(2, 2, rng), tight(family, 1e-6)[0]
    mean = np.concatenate([wide.mean, narrow.mean])[[0, 2, 1, 3, 4]]
    matrix = np.concatenate([wide.covariance.matrix, narrow.covariance.matrix])[[0, 2, 1, 3, 4]]
    both = Gaussians(mean, family.of(2).from_public(matrix))
    assert isinstance(wide.lens(offset(wide)), NaturalLens)
    assert isinstance(narrow.lens(offset(narrow)), ResidualLens)
    lens = both.lens(offset(both))
    assert isinstance(lens, SplitLens)
    safe, exact = lens.groups
    assert_allclose(safe, [0, 2])
    assert_allclose(exact, [1, 3, 4])


def test_many_features_are_seen_as_residuals():
    rng = np.random.default_rng(0)
    d = Full.natural_features + 1
    gaussians = Gaussians(np.zeros((2, d)), Full(d).from_public(np.stack([np.eye(d)] * 2)))
    lens = gaussians.lens(offset(gaussians))
    assert isinstance(lens, ResidualLens)
    rows = rng.normal(size=(N, d))
    plain = plain_log_prob(gaussians, rows) + offset(gaussians)[:, None]
    assert_allclose(lens.log_prob(lens.look(rows.T)), plain, rtol=1e-12)


@every_structure
def test_row_width_counts_what_a_row_grows_into(structure):
    K, d = 4, 3
    assert row_width(structure(d), K) == 1 + d + structure(d).size + K
    many = structure(1000)
    looks = K * 1001 if structure is Full else 1 + 1000 + many.size + K
    assert row_width(many, K) == looks
