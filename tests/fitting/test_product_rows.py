"""Mixtures of products of densities, from the rows of a table to the end of the search."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.core.bernoulli.binarization import Binarization
from sklearn_lvm.core.bernoulli.counts import Counts
from sklearn_lvm.core.bernoulli.density import BernoulliFamily
from sklearn_lvm.core.blocks import row_slices
from sklearn_lvm.core.gaussian.density import GaussianFamily
from sklearn_lvm.core.gaussian.diagonal import Diagonal
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.mixture_em import MixtureSteps
from sklearn_lvm.core.standardization import Standardization
from sklearn_lvm.fitting.incomplete_rows import observed_units
from sklearn_lvm.fitting.mixture import MixtureSearch
from sklearn_lvm.fitting.product_rows import (
    ColumnBlock,
    product_family,
    product_rows,
    product_transformation,
)
from sklearn_lvm.fitting.restarts import RunCallback
from sklearn_lvm.fitting.sample import Sample
from sklearn_lvm.fitting.start_search import SearchedStart
from sklearn_lvm.fitting.starts import FEW_ROWS, STARTS, DrawnStart
from sklearn_lvm.inference.problem import Problem

from .samples import InTurn, groups, row_source, sample_of

MEASURED, BINARY = np.array([3, 0]), np.array([1, 2, 4])
GAUSSIAN_ALONE = np.arange(2)
COINS = BernoulliFamily(Counts(np.zeros(1), np.ones((1, 3)), np.ones((1, 3))))


def table(n=600, missing=0.0, seed=0):
    """Rows of three groups that only both blocks together tell apart, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    X = np.empty((n, 5))
    X[:, MEASURED] = 10.0 + 2.0 * rng.normal(size=(n, 2)) + 16.0 * (labels == 1)[:, None]
    p = np.where(labels == 2, 0.95, 0.05)
    X[:, BINARY] = rng.uniform(size=(n, 3)) < p[:, None]
    X[rng.uniform(size=X.shape) < missing] = np.nan
    return X[~np.isnan(X).all(axis=1)], labels[~np.isnan(X).all(axis=1)]


def gaussian_block(X, w, columns):
    structure = Full(len(columns))
    units = Standardization.of_observed(X[:, columns], w, per_feature=True)
    family = GaussianFamily(structure, np.full(len(columns), 1e-6))
    return ColumnBlock(columns, observed_units(X[:, columns], w, units, structure), family)


def blocks_of(X, w):
    return [gaussian_block(X, w, MEASURED), ColumnBlock(BINARY, Binarization(0.5), COINS)]


def slices_of(X):
    return list(row_slices(*X.shape, 1000))


def source(X, w=None, blocks=None):
    w = np.ones(len(X)) if w is None else w
    return product_rows(X, w, blocks_of(X, w) if blocks is None else blocks, slices_of)


def few(n_rows, weight):
    return FEW_ROWS["random"]


def searched(K):
    return SearchedStart(K, few, lambda model: model)


def drawn(K):
    return DrawnStart(K, STARTS["kmeans"], few, lambda model: model)


def fitted(X, w=None, start=None, tol="auto", K=3, acceleration="auto"):
    """The best of one run, and the mixture that it found with its units."""
    w = np.ones(len(X)) if w is None else w
    blocks = blocks_of(X, w)
    steps = MixtureSteps(product_family(blocks))
    search = MixtureSearch(
        steps,
        product_rows(X, w, blocks, slices_of),
        max_iter=200,
        tol=tol,
        acceleration=acceleration,
        n_jobs=None,
    )
    (run,) = search.runs(start or searched(K), [0], lambda i: RunCallback(), stopped=lambda: False)
    return run, steps.predictive(run.model), product_transformation(blocks)


def scores(density, units, X):
    return density.kernel().log_prob(units.transform(X)) - units.log_jacobian


@pytest.mark.parametrize("missing", [0.0, 0.15])
@pytest.mark.parametrize("start", [searched(3), drawn(3)], ids=["searched", "drawn"])
def test_groups_are_found_that_both_blocks_tell_apart(missing, start):
    X, labels = table(missing=missing)
    run, density, units = fitted(X, start=start)
    assert run.converged
    found = density.kernel().labels(units.transform(X))
    counts = np.zeros((3, 3))
    np.add.at(counts, (found, labels), 1)
    assert (counts.max(axis=1) > 0).all()
    assert counts.max(axis=1).sum() > (0.93 if missing else 0.98) * len(X)
    assert len(set(counts.argmax(axis=1))) == 3


@pytest.mark.parametrize("missing", [0.0, 0.15])
@pytest.mark.parametrize("acceleration", [None, "squarem"])
def test_the_objective_never_falls(missing, acceleration):
    X, _ = table(missing=missing)
    run, _, _ = fitted(X, start=drawn(3), tol=1e-9, acceleration=acceleration)
    assert (np.diff(run.trace) > -1e-12).all()


def test_weights_are_repetitions_and_the_order_of_rows_does_not_matter():
    X, _ = table(300, missing=0.1)
    rng = np.random.default_rng(1)
    times = rng.integers(1, 4, len(X))
    order = rng.permutation(times.sum())
    weighted = fitted(X, times.astype(float))
    repeated = fitted(np.repeat(X, times, axis=0)[order])
    for one in (weighted, repeated):
        assert one[0].converged
    assert_allclose(
        scores(*weighted[1:], X[:9]), scores(*repeated[1:], X[:9]), rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_a_sample_does_not_depend_on_the_order_of_rows_or_on_units(missing):
    X, _ = table(missing=missing)
    order = np.random.default_rng(1).permutation(len(X))
    scale = np.array([2.0, 1.0, 1.0, 0.25, 1.0])
    one, two = source(X).sample(100), source((X * scale)[order]).sample(100)
    assert_array_equal(one.X * scale, two.X)
    assert_array_equal(one.w, two.w)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_points_have_one_scale_and_no_missing_entry(missing):
    X, _ = table(missing=missing)
    points = source(X).points()
    assert points.shape == X.shape
    assert np.isfinite(points).all()
    assert_allclose(points.mean(axis=0), 0.0, atol=0.05)
    assert (points.std(axis=0) > 0.7).all()
    assert (points.std(axis=0) < 1.1).all()


def test_missing_measurements_stand_where_the_others_expect_them():
    X, _ = table()
    X[::3, 3] = np.nan
    rows = source(X)
    points, missing = rows.points(), np.isnan(rows.X[:, 3])
    # The two measurements of a group go together.
    assert np.corrcoef(points[missing][:, [0, 3]].T)[0, 1] > 0.9


def test_what_is_missing_is_integrated_out():
    """The density of what was observed is that of the marginal mixture."""
    X, _ = table(missing=0.1)
    _, density, _ = fitted(X)
    rng = np.random.RandomState(0)
    complete = density.sample(5, rng)[0]
    for observed in ([0, 3], [1, 2], [3, 4], [0, 1, 2, 3], [4]):
        columns = np.array(observed)
        part = density.marginal(columns)
        partial = np.full_like(complete, np.nan)
        partial[:, columns] = complete[:, columns]
        units = product_transformation(blocks_in_standard_units())
        log_prob = density.kernel().log_prob(units.transform(partial))
        by_conditional = [density.conditional(columns, row[columns])[0][0] for row in complete]
        assert_allclose(log_prob, by_conditional, rtol=1e-9)
        assert part.sample(2, rng)[0].shape == (2, len(columns))


def blocks_in_standard_units():
    """Blocks of rows that are in the units of a fit already."""
    one = Standardization(np.zeros(2), np.ones(2), np.ones(2), np.zeros(2, dtype=bool))
    sample = observed_units(
        np.array([[0.0, np.nan], [1.0, 2.0], [3.0, 0.0]]), np.ones(3), one, Full(2)
    )
    return [
        ColumnBlock(MEASURED, sample, GaussianFamily(Full(2), np.zeros(2))),
        ColumnBlock(BINARY, Binarization(0.5), COINS),
    ]


def test_one_block_is_a_mixture_of_gaussians():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2)) * [1.0, 5.0] + 8.0 * rng.integers(0, 2, 400)[:, None]
    w = np.ones(len(X))
    block = gaussian_block(X, w, GAUSSIAN_ALONE)
    product, plain = MixtureSteps(product_family([block])), sample_of(X).steps
    rows = source(X, w, [block])
    ends = []
    for steps, known in ((product, rows), (plain, row_source(X))):
        search = MixtureSearch(steps, known, max_iter=30, tol=0.0, acceleration=None, n_jobs=None)
        ends += search.runs(searched(4), [3], lambda i: RunCallback(), stopped=lambda: False)
    assert_allclose(ends[0].trace, ends[1].trace, rtol=1e-12)
    assert_allclose(
        ends[0].model.components.parts[0].mean, ends[1].model.components.mean, rtol=1e-9, atol=1e-12
    )


def diagonal_blocks(X, w, *cut_as):
    """One block for each group of columns, of Gaussians of uncorrelated features."""
    found = []
    for columns in map(np.array, cut_as):
        units = Standardization.of_observed(X[:, columns], w, per_feature=True)
        structure = Diagonal(len(columns))
        known = observed_units(X[:, columns], w, units, structure)
        family = GaussianFamily(structure, np.full(len(columns), 1e-6))
        found.append(ColumnBlock(columns, known, family))
    return found


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize(("tol", "acceleration"), [(0.0, None), (1e-8, "squarem")])
def test_uncorrelated_columns_may_be_cut_anywhere(missing, tol, acceleration):
    """In one precision, or in two where several blocks of rows are worth it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2500, 4)) + 6.0 * rng.integers(0, 3, 2500)[:, None]
    X[rng.uniform(size=X.shape) < missing] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    w, ends = np.ones(len(X)), []
    for cut_as in ([[0, 1, 2, 3]], [[2], [3, 0], [1]]):
        blocks = diagonal_blocks(X, w, *cut_as)
        search = MixtureSearch(
            MixtureSteps(product_family(blocks)),
            source(X, w, blocks),
            max_iter=30,
            tol=tol,
            acceleration=acceleration,
            n_jobs=None,
        )
        ends += search.runs(drawn(3), [0], lambda i: RunCallback(), stopped=lambda: False)
    one, cut = ends
    if tol:
        assert one.converged
        assert cut.converged
    assert_allclose(cut.objective, one.objective, rtol=0, atol=1e-10 if tol == 0.0 else 1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_a_search_finds_groups_that_no_block_tells_apart(seed):
    """Nine groups on a grid: each block sees three of them."""
    X, _ = groups(150, [[x, y] for x in (0.0, 9.0, 18.0) for y in (0.0, 9.0, 18.0)])
    w = np.ones(len(X))
    blocks = diagonal_blocks(X, w, [0], [1])
    steps, rows = MixtureSteps(product_family(blocks)), source(X, w, blocks)
    data = Sample(steps, rows, InTurn(), Problem, rows.n_observations)
    model = searched(9).prepared(data)(np.random.RandomState(seed))
    centers = np.column_stack([part.mean for part in model.components.parts])
    grid = rows.transformation.inverse_transform(centers) / 9.0
    assert len(np.unique(np.rint(grid), axis=0)) == 9
    assert_allclose(np.exp(model.log_weights), 1 / 9, atol=0.02)


def test_threads_and_blocks_do_not_matter():
    X, _ = table(missing=0.1)
    rows, steps = source(X), MixtureSteps(product_family(blocks_of(X, np.ones(len(X)))))
    model = steps.m_step(
        steps.family.statistics(
            rows.block, np.random.default_rng(0).dirichlet(np.ones(3), len(X)).T
        )
    )
    step = steps.e_step(model)
    assert len(rows.blocks) > 1
    parts, whole = InTurn().sum(step, rows.blocks), step((rows.block, rows.w))
    assert_allclose(parts.log_likelihood, whole.log_likelihood, rtol=1e-12)
    one, two = (steps.m_step(step.statistics(total)) for total in (parts, whole))
    assert_allclose(one.log_weights, two.log_weights, rtol=1e-11)
    assert_allclose(one.components.parts[0].mean, two.components.parts[0].mean, atol=1e-11)
