"""The smallest box of rows: its density, its sides, and columns without width."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import uniform
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_lvm import UniformDensity

X = np.random.RandomState(0).uniform([-3.0, 10.0, 0.0], [1.0, 30.0, 1e-3], (40, 3))


# A list, because pytest no longer takes the generator that older versions hand out.
_checks = parametrize_with_checks([UniformDensity()])


@pytest.mark.parametrize(_checks.args[0], list(_checks.args[1]), ids=_checks.kwargs["ids"])
def test_scikit_learn_check(estimator, check):
    check(estimator)


def test_scores_are_those_of_scipy():
    model = UniformDensity().fit(X)
    low, high = X.min(axis=0), X.max(axis=0)
    rows = np.concatenate([X, X + np.array([0.5, 0.0, 0.0])])
    expected = uniform(low, high - low).logpdf(rows)
    assert_allclose(model.score_samples(rows), expected.sum(axis=1), rtol=1e-12)
    assert_allclose(model.transform(rows), expected, rtol=1e-12)
    assert model.n_parameters_ == 6


def test_a_row_without_weight_or_a_missing_entry_moves_no_side():
    far = np.concatenate([X, [[1e3, np.nan, 1e3]]])
    model = UniformDensity().fit(far, sample_weight=np.r_[np.ones(40), 0.0])
    assert_array_equal(model.high_, X.max(axis=0))


def test_batches_equal_one_fit():
    parts = UniformDensity()
    for rows in (slice(1), slice(1, 9), slice(9, 40)):
        parts.partial_fit(X[rows])
    assert parts.n_samples_seen_ == 40
    assert_array_equal(parts.score_samples(X), UniformDensity().fit(X).score_samples(X))


def test_a_column_without_width_is_named():
    constant = np.where([False, True, False], 4.0, X)
    with pytest.raises(ValueError, match="constant in column 1"):
        UniformDensity().fit(constant)
    with pytest.raises(ValueError, match="constant in column 1"):
        UniformDensity().partial_fit(constant).score_samples(X)


def test_a_marginal_and_a_conditional_make_the_joint():
    model = UniformDensity().fit(X)
    known, rest = model.marginal([1]), model.condition({1: X[0, 1]})
    joint = known.score_samples(X[:, [1]]) + rest.score_samples(X[:, [0, 2]])
    assert_allclose(joint, model.score_samples(X), rtol=1e-12)
    with pytest.raises(ValueError, match="rules out"):
        model.condition({1: 31.0})


def test_samples_and_imputed_entries_are_inside():
    model = UniformDensity(random_state=0).fit(X)
    assert np.isfinite(model.score_samples(model.sample(200))).all()
    incomplete = np.where(np.eye(40, 3) > 0, np.nan, X)
    (drawn,) = model.impute(incomplete, n_draws=1)
    assert np.isfinite(model.score_samples(drawn)).all()
    middle = np.diag(model.impute(incomplete)[:3])
    assert_allclose(middle, (model.low_ + model.high_) / 2, rtol=1e-12)


def test_the_largest_box_has_a_density():
    model = UniformDensity().fit([[-1.7e308], [1.7e308]])
    assert_allclose(model.score_samples([[0.0]]), -np.log(1.7e308) - np.log(2.0), rtol=1e-12)
    assert np.isfinite(model.sample(5, random_state=0)).all()


def test_the_family_is_that_of_the_box():
    w = np.ones(40)
    transformation, family = UniformDensity()._family(X, w)
    rows = transformation.transform(X)
    found = family.estimate(family.statistics(rows, w[None])).kernel(np.zeros(1)).log_prob(rows)[0]
    assert_allclose(found, UniformDensity().fit(X).score_samples(X), rtol=1e-12)
