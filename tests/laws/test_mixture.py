"""A mixture, its posterior, and the two steps of expectation-maximization."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp

from sklearn_lvm.core.gaussian.density import Gaussians
from sklearn_lvm.core.mixture import Mixture

from .specs import (
    components,
    every_gaussian,
    every_maximized,
    every_member,
    features,
    plain_joint,
    plain_objective,
    seeds,
)

N = 30


def example(family, seed, K=3, d=2):
    rng = np.random.default_rng(seed)
    return family.mixture(K, d, rng), family.rows(N, d, rng), rng.uniform(0.1, 2.0, N), rng


@every_member
@given(seed=seeds, K=components, d=features)
def test_posterior_and_evidence_agree_with_scipy(family, seed, K, d):
    mixture, rows, _, _ = example(family, seed, K, d)
    joint = plain_joint(family, mixture, rows)
    evidence, resp = mixture.kernel().posterior(family.block(rows))
    assert_allclose(evidence, logsumexp(joint, axis=0), rtol=1e-10, atol=1e-10)
    assert_allclose(resp, np.exp(joint - logsumexp(joint, axis=0)), rtol=1e-8, atol=1e-12)
    assert_allclose(resp.sum(axis=0), 1.0, rtol=1e-14)
    assert_allclose(mixture.kernel().log_prob(family.block(rows)), evidence, rtol=1e-15)


@every_member
@given(seed=seeds, K=components, d=features)
def test_labels_are_the_most_probable_components(family, seed, K, d):
    mixture, rows, _, _ = example(family, seed, K, d)
    kernel = mixture.kernel()
    assert_array_equal(
        kernel.labels(family.block(rows)), kernel.posterior(family.block(rows))[1].argmax(axis=0)
    )


@every_member
@given(seed=seeds, K=components)
def test_evidence_is_the_bound_plus_the_divergence(family, seed, K):
    """ln p(x) = L(q) + KL(q || p(k | x)) for any q."""
    mixture, rows, _, rng = example(family, seed, K)
    q = rng.dirichlet(np.full(K, 0.5), size=N).T + 1e-12
    q /= q.sum(axis=0)
    kernel = mixture.kernel()
    bound = (q * (plain_joint(family, mixture, rows) - np.log(q))).sum(axis=0)
    evidence, resp = kernel.posterior(family.block(rows))
    divergence = (q * (np.log(q) - np.log(resp))).sum(axis=0)
    assert (divergence >= -1e-12).all()
    assert_allclose(evidence, bound + divergence, rtol=1e-9, atol=1e-9)


@every_gaussian
@pytest.mark.parametrize("d", [1, 2])
def test_a_mixture_integrates_to_one(family, d):
    mixture = family.mixture(3, d, np.random.default_rng(d))
    axis, step = np.linspace(-40, 40, 801, retstep=True)
    grid = np.stack(np.meshgrid(*[axis] * d), axis=0).reshape(d, -1)
    mass = np.exp(mixture.kernel().log_prob(grid)).sum() * step**d
    assert_allclose(mass, 1.0, rtol=1e-10)


@every_gaussian
def test_samples_come_from_components_by_their_weight(family):
    n = 20_000
    mixture = family.mixture(3, 2, np.random.default_rng(0))
    rows, labels = mixture.sample(n, np.random.RandomState(0))
    weights = np.exp(mixture.log_weights)
    counts = np.bincount(labels, minlength=3)
    assert (abs(counts - n * weights) < 4 * np.sqrt(n * weights)).all()
    total = weights @ mixture.components.mean
    assert (abs(rows.mean(axis=0) - total) < 4 * rows.std(axis=0) / np.sqrt(n)).all()
    assert rows.shape == (n, 2)


@every_member
@pytest.mark.parametrize("K", [1, 4])
def test_weights_count_as_parameters_but_one(family, K):
    mixture = family.mixture(K, 2, np.random.default_rng(0))
    assert mixture.n_parameters() == mixture.components.n_parameters() + K - 1


# -- the steps ---------------------------------------------------------------------------------------

every_extra = pytest.mark.parametrize("added_variance", [0.0, 0.3])


@every_member
@every_extra
@given(seed=seeds, K=components)
def test_the_e_step_finds_the_objective(family, added_variance, seed, K):
    mixture, rows, w, _ = example(family, seed, K)
    added_variance = added_variance * np.array([1.0, 2.0])
    steps = family.steps(added_variance)
    total = steps.e_step(mixture)((family.block(rows), w))
    assert_allclose(total.weight, w.sum())
    objective = (total.log_likelihood + steps.log_prior(mixture)) / total.weight
    assert_allclose(
        objective, plain_objective(family, mixture, rows, w, added_variance), rtol=1e-10
    )


@every_member
@every_extra
@given(seed=seeds, slices_of=st.integers(1, N - 1))
def test_the_e_step_of_blocks_is_the_e_step_of_the_whole(family, added_variance, seed, slices_of):
    mixture, rows, w, _ = example(family, seed)
    steps = family.steps(np.full(2, added_variance))
    e_step = steps.e_step(mixture)
    whole = e_step((family.block(rows), w))
    parts = e_step((family.block(rows[:slices_of]), w[:slices_of])) + e_step(
        (family.block(rows[slices_of:]), w[slices_of:])
    )
    assert_allclose(parts.log_likelihood, whole.log_likelihood, rtol=1e-12)
    one, two = (steps.m_step(e_step.statistics(total)) for total in (whole, parts))
    assert_allclose(one.log_weights, two.log_weights, atol=1e-12)
    for a, b in zip(family.numbers(one.components), family.numbers(two.components), strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-10)


@every_member
def test_an_e_step_and_its_sums_travel(family):
    """They pickle, and the sums are float64 arrays that know no model."""
    mixture, rows, w, _ = example(family, 0, 4, 3)
    e_step = family.steps(np.zeros(3)).e_step(mixture)
    block = family.block(rows), w
    there = pickle.loads(pickle.dumps(e_step))(block)
    sums = e_step(block)
    assert sums.log_likelihood == there.log_likelihood
    for a, b in zip(sums.arrays, there.arrays, strict=True):
        assert_array_equal(a, b)
        assert a.dtype == np.float64
    size = sum(array.nbytes for array in sums.arrays)
    assert len(pickle.dumps(sums)) < size + 200 * (2 + len(sums.arrays))


def next_model(steps, mixture, block):
    e_step = steps.e_step(mixture)
    return steps.m_step(e_step.statistics(e_step(block)), mixture)


def expected_objective(family, mixture, rows, w, resp, added_variance):
    """L(q) per unit of weight without the entropy of q: what the M-step raises."""
    return (w * resp * plain_joint(family, mixture, rows, added_variance)).sum() / w.sum()


@every_member
@every_extra
@given(seed=seeds, K=components, d=features)
def test_the_m_step_raises_the_bound(family, added_variance, seed, K, d):
    """For the posterior as q the next mixture has a higher bound than the last."""
    mixture, rows, w, _ = example(family, seed, K, d)
    added_variance = np.full(d, added_variance)
    resp = np.exp(plain_joint(family, mixture, rows, added_variance))
    resp /= resp.sum(axis=0)
    following = next_model(family.steps(added_variance), mixture, (family.block(rows), w))
    last, raised = (
        expected_objective(family, m, rows, w, resp, added_variance) for m in (mixture, following)
    )
    assert raised >= last - 1e-12


@every_maximized
@every_extra
@given(seed=seeds)
def test_the_m_step_is_the_top_of_the_bound(family, added_variance, seed):
    """For the posterior as q no mixture near the next one has a higher bound."""
    mixture, rows, w, rng = example(family, seed)
    added_variance = np.full(2, added_variance)
    steps = family.steps(added_variance)
    resp = np.exp(plain_joint(family, mixture, rows, added_variance))
    resp /= resp.sum(axis=0)
    following = next_model(steps, mixture, (family.block(rows), w))
    top = expected_objective(family, following, rows, w, resp, added_variance)
    coordinates = steps.coordinates(following)
    at = coordinates.vector(following)
    for _ in range(4):
        near = coordinates.model(at + 1e-3 * rng.normal(size=len(at)), like=following)
        assert expected_objective(family, near, rows, w, resp, added_variance) < top


@every_gaussian
@given(seed=seeds)
def test_the_slope_of_the_evidence_is_that_of_the_bound(family, seed):
    """Fisher's identity: at the posterior, L(q) touches ln p."""
    mixture, rows, w, rng = example(family, seed)
    joint = plain_joint(family, mixture, rows)
    resp = np.exp(joint - logsumexp(joint, axis=0))
    move, h = rng.normal(size=mixture.components.mean.shape), 1e-5

    def slope(objective):
        ends = [
            objective(
                Mixture(mixture.log_weights, Gaussians(mixture.components.mean + t * move, C))
            )
            for t in (h, -h)
        ]
        return (ends[0] - ends[1]) / (2 * h)

    C = mixture.components.covariance
    evidence = slope(lambda m: w @ m.kernel().log_prob(family.block(rows)) / w.sum())
    bound = slope(lambda m: expected_objective(family, m, rows, w, resp, 0.0))
    assert_allclose(evidence, bound, rtol=1e-5, atol=1e-7)


@every_member
@pytest.mark.parametrize("empty", [False, True])
@given(seed=seeds, K=st.integers(2, 4), d=features)
def test_coordinates_round_trip(family, empty, seed, K, d):
    mixture, _, _, _ = example(family, seed, K, d)
    if empty:
        weights = np.exp(mixture.log_weights)
        weights[seed % K] = 0.0
        with np.errstate(divide="ignore"):
            mixture = Mixture(np.log(weights / weights.sum()), mixture.components)
    reference = family.steps(np.zeros(d)).coordinates(mixture)
    vector = reference.vector(mixture)
    again = reference.model(vector, like=mixture)
    assert np.isfinite(vector).all()
    assert_allclose(again.log_weights, mixture.log_weights, rtol=1e-12, atol=1e-12)
    for a, b in zip(
        family.numbers(again.components), family.numbers(mixture.components), strict=True
    ):
        assert_allclose(a, b, rtol=1e-10, atol=1e-10)
    assert_allclose(reference.vector(again), vector, rtol=1e-9, atol=1e-9)


@every_member
@given(seed=seeds, size=st.floats(0.0, 3.0))
def test_any_vector_is_a_mixture(family, seed, size):
    mixture, rows, _, rng = example(family, seed)
    reference = family.steps(np.zeros(2)).coordinates(mixture)
    vector = reference.vector(mixture)
    other = reference.model(vector + size * rng.normal(size=len(vector)), like=mixture)
    assert_allclose(np.exp(other.log_weights).sum(), 1.0, rtol=1e-12)
    assert np.isfinite(other.kernel().log_prob(family.block(rows))).all()


@every_member
def test_a_component_without_weight_is_no_part_of_the_density(family):
    mixture, rows, w, _ = example(family, 0)
    weights = np.array([0.4, 0.0, 0.6])
    with np.errstate(divide="ignore"):
        emptied = Mixture(np.log(weights), mixture.components)
    evidence, resp = emptied.kernel().posterior(family.block(rows))
    assert not resp[1].any()
    assert np.isfinite(evidence).all()
    steps = family.steps(np.zeros(2))
    following = next_model(steps, emptied, (family.block(rows), w))
    assert following.log_weights[1] == -np.inf
    assert np.isfinite(following.kernel().log_prob(family.block(rows))).all()


@every_gaussian
def test_a_row_far_from_everything_has_a_finite_density(family):
    mixture, _, _, _ = example(family, 1)
    evidence, resp = mixture.kernel().posterior(np.array([[1e100, -1e100], [1e100, 0.0]]))
    assert np.isfinite(evidence).all()
    assert_allclose(resp.sum(axis=0), 1.0)
