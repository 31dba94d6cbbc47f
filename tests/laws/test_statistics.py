"""Statistics are values with ``+``, in which a row's weight says how often it was seen."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from .specs import components, every_member, features, seeds

N = 24


def measured(family, rows, resp):
    return family.family(np.zeros(rows.shape[1])).statistics(family.block(rows), resp)


def same_statistics(family, d, one, other):
    """Equal weights, and equal densities of the largest likelihood, the variances raised a little."""
    assert_allclose(one.weight, other.weight, rtol=1e-12)
    estimator = family.family(np.full(d, 0.1))
    for a, b in zip(
        family.numbers(estimator.estimate(one)),
        family.numbers(estimator.estimate(other)),
        strict=True,
    ):
        assert_allclose(a, b, rtol=1e-9, atol=1e-10)


def example(family, seed, K, d):
    rng = np.random.default_rng(seed)
    return family.rows(N, d, rng), rng.uniform(0.1, 2.0, size=(K, N)), rng


@every_member
@given(seed=seeds, K=components, d=features)
def test_merging_is_associative_and_commutative(family, seed, K, d):
    rows, resp, _ = example(family, seed, K, d)
    a, b, c = (
        measured(family, rows[part], resp[:, part])
        for part in (slice(5), slice(5, 14), slice(14, N))
    )
    same_statistics(family, d, (a + b) + c, a + (b + c))
    same_statistics(family, d, a + b, b + a)


@every_member
@given(seed=seeds, K=components, d=features, cut=st.integers(1, N - 1))
def test_blocks_equal_the_whole(family, seed, K, d, cut):
    rows, resp, _ = example(family, seed, K, d)
    first, rest = slice(cut), slice(cut, N)
    blocks = measured(family, rows[first], resp[:, first]) + measured(
        family, rows[rest], resp[:, rest]
    )
    same_statistics(family, d, blocks, measured(family, rows, resp))


@every_member
@given(seed=seeds, K=components, d=features)
def test_weights_are_repetitions(family, seed, K, d):
    rows, _, rng = example(family, seed, K, d)
    times = rng.integers(1, 4, N)
    resp = rng.uniform(0.1, 1.0, size=(K, N))
    repeated = measured(family, np.repeat(rows, times, axis=0), np.repeat(resp, times, axis=1))
    same_statistics(family, d, measured(family, rows, resp * times), repeated)


@every_member
@given(seed=seeds, K=components, d=features)
def test_the_order_of_rows_does_not_matter(family, seed, K, d):
    rows, resp, rng = example(family, seed, K, d)
    order = rng.permutation(N)
    permuted = measured(family, rows[order], resp[:, order])
    same_statistics(family, d, permuted, measured(family, rows, resp))


@every_member
@given(seed=seeds, K=components, d=features)
def test_the_statistics_of_a_kernel_are_those_of_the_family(family, seed, K, d):
    """What an E-step adds up is what a start is made of."""
    rows, resp, rng = example(family, seed, K, d)
    mixture = family.mixture(K, d, rng)
    kernel = family.family(np.zeros(d)).kernel(mixture.components, mixture.log_weights)
    sums = kernel.accumulate(kernel.features(family.block(rows)), resp)
    same_statistics(family, d, kernel.statistics(sums), measured(family, rows, resp))
