"""All kernels agree: log-densities and moments with each other and with plain sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_lvm.core.gaussian.density import Gaussians
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.gaussian.kernels import (
    MixedKernel,
    NaturalKernel,
    ResidualKernel,
    TiedKernel,
    row_width,
)
from sklearn_lvm.core.gaussian.moments import Moments

from ...laws.specs import (
    FAMILIES,
    GAUSSIANS,
    PART,
    Family,
    components,
    every_gaussian,
    every_separate_gaussian,
    every_structure,
    features,
    plain_moments,
    seeds,
)

N = 40
SUITS = {
    NaturalKernel: GAUSSIANS,
    ResidualKernel: GAUSSIANS,
    TiedKernel: [family for family in FAMILIES if family.tied],
}
every_pure_kernel = pytest.mark.parametrize(
    ("kind", "family"),
    [
        pytest.param(kind, family, id=f"{kind.__name__}-{family}")
        for kind, families in SUITS.items()
        for family in families
    ],
)


def example(family, seed, K, d):
    """Gaussians, rows (n, d), and responsibilities (K, n)."""
    rng = np.random.default_rng(seed)
    resp = rng.dirichlet(np.ones(K), size=N).T * rng.uniform(0.1, 3, N)
    return family.components(K, d, rng), rng.normal(size=(N, d)), resp


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


def made(kind, gaussians, *more):
    """A kernel of Gaussians, something like a log-weight added to each log-density."""
    constant = gaussians.max_log_prob + offset(gaussians)
    return kind.of(gaussians.mean, gaussians.covariance, constant, *more)


def moments_of(kernel, rows, resp):
    return kernel.statistics(kernel.accumulate(kernel.features(rows.T), resp))


def check(kernel, family, gaussians, rows, resp):
    """The kernel against plain sums."""
    plain = family.log_prob(gaussians, rows) + offset(gaussians)[:, None]
    assert_allclose(kernel.log_prob(kernel.features(rows.T)), plain, rtol=1e-9, atol=1e-9)
    same(moments_of(kernel, rows, resp), plain_sums(gaussians, rows, resp))


@every_pure_kernel
@given(seed=seeds, K=components, d=features)
def test_a_kernel_agrees_with_plain_sums(kind, family, seed, K, d):
    gaussians, rows, resp = example(family, seed, K, d)
    check(made(kind, gaussians), family, gaussians, rows, resp)


@every_separate_gaussian
@given(seed=seeds, d=features, safe=st.lists(st.booleans(), min_size=2, max_size=5))
def test_a_mixed_kernel_agrees_with_plain_sums(family, seed, d, safe):
    safe = np.array([True, False, *safe])
    gaussians, rows, resp = example(family, seed, len(safe), d)
    order = np.random.default_rng(seed).permutation(len(safe))
    check(made(MixedKernel, gaussians, safe[order]), family, gaussians, rows, resp)


@every_gaussian
@given(seed=seeds, K=components, d=features)
def test_the_chosen_kernel_agrees_with_plain_sums(family, seed, K, d):
    gaussians, rows, resp = example(family, seed, K, d)
    check(gaussians.kernel(offset(gaussians)), family, gaussians, rows, resp)


@every_pure_kernel
@given(seed=seeds, slices_of=st.integers(1, N - 1))
def test_blocks_equal_the_whole(kind, family, seed, slices_of):
    gaussians, rows, resp = example(family, seed, 3, 2)
    kernel = made(kind, gaussians)
    whole = moments_of(kernel, rows, resp)
    halves = [
        kernel.accumulate(kernel.features(np.ascontiguousarray(rows[subset].T)), resp[:, subset])
        for subset in (slice(None, slices_of), slice(slices_of, None))
    ]
    for one, two in (halves, halves[::-1]):
        joined = tuple(a + b for a, b in zip(one, two, strict=True))
        same(kernel.statistics(joined), whole, rtol=1e-10, atol=1e-10)


@every_pure_kernel
@pytest.mark.parametrize("nothing", [0.0, 1e-120, 1e-310])
def test_a_gaussian_without_rows_keeps_its_mean(kind, family, nothing):
    gaussians, rows, resp = example(family, 0, 3, 2)
    resp[1] = nothing
    moments = moments_of(made(kind, gaussians), rows, resp)
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


@every_gaussian
@pytest.mark.parametrize("size", [1e-2, 1e-4, 1e-6])
def test_tight_gaussians_keep_their_digits(family, size):
    gaussians, rows, resp = tight(family, size)
    found = moments_of(gaussians.kernel(offset(gaussians)), rows, resp)
    plain = plain_sums(gaussians, rows, resp)
    assert_allclose(found.mean, plain.mean, rtol=0, atol=1e-9 * size)
    assert_allclose(found.scatter, plain.scatter, rtol=0, atol=1e-9 * plain.scatter.max())


def test_a_tied_covariance_is_whitened_once_unless_it_is_tight():
    family = Family(Full, True)
    wide, narrow = family.components(3, 2, np.random.default_rng(0)), tight(family, 1e-6)[0]
    assert isinstance(wide.kernel(offset(wide)).complete, TiedKernel)
    assert isinstance(narrow.kernel(offset(narrow)).complete, ResidualKernel)


@every_separate_gaussian
def test_only_the_gaussians_that_would_lose_digits_are_kept_as_residuals(family):
    rng = np.random.default_rng(0)
    wide, narrow = family.components(2, 2, rng), tight(family, 1e-6)[0]
    mean = np.concatenate([wide.mean, narrow.mean])[[0, 2, 1, 3, 4]]
    matrix = np.concatenate([wide.covariance.matrix, narrow.covariance.matrix])[[0, 2, 1, 3, 4]]
    both = Gaussians(mean, family.of(2).from_public(matrix))
    assert isinstance(wide.kernel(offset(wide)).complete, NaturalKernel)
    assert isinstance(narrow.kernel(offset(narrow)).complete, ResidualKernel)
    kernel = both.kernel(offset(both)).complete
    assert isinstance(kernel, MixedKernel)
    safe, exact = kernel.groups
    assert_allclose(safe, [0, 2])
    assert_allclose(exact, [1, 3, 4])


def test_many_features_are_kept_as_residuals():
    rng = np.random.default_rng(0)
    d = Full.max_natural_features + 1
    gaussians = Gaussians(np.zeros((2, d)), Full(d).from_public(np.stack([np.eye(d)] * 2)))
    kernel = gaussians.kernel(offset(gaussians)).complete
    assert isinstance(kernel, ResidualKernel)
    rows = rng.normal(size=(N, d))
    plain = Family(Full, False).log_prob(gaussians, rows) + offset(gaussians)[:, None]
    assert_allclose(kernel.log_prob(kernel.features(rows.T)), plain, rtol=1e-12)


@every_structure
def test_row_width_counts_what_a_row_grows_into(structure):
    K, d = 4, 3
    assert row_width(structure(d), K) == 1 + d + structure(d).n_parameters + K
    many = structure(1000)
    numbers = K * 1001 if structure is Full else 1 + 1000 + many.n_parameters + K
    assert row_width(many, K) == numbers
