"""A density on standardized columns scores in the units of the data."""

import pickle
import warnings

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_lvm import BernoulliMixture, EMGaussianMixture
from sklearn_lvm.estimators.standardized import StandardizedDensity
from tests.compare.helpers import two_clusters
from tests.helpers import scale_of


@pytest.mark.parametrize("per_feature", [True, False])
def test_log_jacobian_is_exact(per_feature):
    X = two_clusters() * [0.02, 50.0] + [3.0, -1e3]
    gaussian = GaussianMixture(1, reg_covar=0.0)
    model = StandardizedDensity(gaussian, per_feature=per_feature).fit(X)
    expected = multivariate_normal(X.mean(axis=0), np.cov(X.T, bias=True)).logpdf(X)
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-8)
    assert model.score(X) == pytest.approx(expected.mean())


def test_one_scale_for_all_columns_keeps_ratios_of_distances():
    X = two_clusters() * [1.0, 50.0]
    common = StandardizedDensity(KernelDensity(), per_feature=False).fit(X)
    each = [scale_of(x) for x in X.T]
    assert common.scale_[0] == common.scale_[1] == pytest.approx(np.sqrt(np.mean(np.square(each))))


@pytest.mark.parametrize("value", [0.0, 0.1, 14.62, -1e8 - 0.1, 1e-300])
def test_a_constant_column_adds_the_same_whatever_its_value(value):
    """The standard deviation of a constant 0.1 is 1e-16 by rounding, and means nothing."""
    score = {}
    for constant in (7.0, value):
        X = np.c_[two_clusters(300), np.full(300, constant)]
        model = StandardizedDensity(KernelDensity(bandwidth=0.5)).fit(X)
        score[constant] = model.score(X)
        assert model.scale_[2] == pytest.approx(np.sqrt(np.median(np.square(model.scale_[:2]))))
    assert score[value] == pytest.approx(score[7.0], abs=1e-6)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
@pytest.mark.parametrize("density", [KernelDensity(), EMGaussianMixture(2, random_state=0)])
def test_extreme_units_move_scores_by_their_logarithm(unit, density):
    X = two_clusters()
    plain = StandardizedDensity(density).fit(X).score_samples(X)
    found = StandardizedDensity(density).fit(unit * X).score_samples(unit * X)
    np.testing.assert_allclose(found, plain - 2 * np.log(unit), rtol=1e-9)


@pytest.mark.parametrize("density", [KernelDensity(), EMGaussianMixture(2, random_state=0)])
def test_weights_are_repetitions(density):
    X, times = two_clusters(), np.random.default_rng(0).integers(1, 4, 60)
    repeated = np.repeat(X, times, axis=0)
    model = StandardizedDensity(density)
    weighted = clone(model).fit(X, sample_weight=times)
    again = clone(model).fit(repeated)
    np.testing.assert_allclose(weighted.score_samples(X), again.score_samples(X), rtol=1e-9)
    assert weighted.score(X, sample_weight=times) == pytest.approx(again.score(repeated))


def test_weights_for_a_density_that_takes_none_are_refused():
    model, X = StandardizedDensity(GaussianMixture(2)), two_clusters()
    with pytest.raises(ValueError, match=r"density=GaussianMixture\(.* takes no sample_weight"):
        model.fit(X, sample_weight=np.ones(60))
    assert not vars(model).keys() - {"density", "per_feature"}


@pytest.mark.parametrize(
    "density",
    [
        KernelDensity(bandwidth=0.2),
        EMGaussianMixture(2, random_state=0),
        GaussianMixture(2, random_state=0),
    ],
)
def test_samples_are_in_the_units_of_the_data(density):
    X = two_clusters(400) * [1.0, 1e3] + [0.0, 1e5]
    model = StandardizedDensity(density).fit(X)
    drawn = model.sample(4000, random_state=0)
    assert drawn.shape == (4000, 2)
    np.testing.assert_allclose(drawn.mean(axis=0), X.mean(axis=0), rtol=0.1)
    np.testing.assert_allclose(drawn.std(axis=0), X.std(axis=0), rtol=0.1)
    np.testing.assert_array_equal(drawn, model.sample(4000, random_state=0))
    assert not np.array_equal(drawn, model.sample(4000, random_state=1))


def test_methods_are_there_where_the_density_has_them():
    offered = [name for name in ("sample", "bic", "aic") if hasattr(bare(PCA(1)), name)]
    assert offered == []
    assert hasattr(bare(KernelDensity()), "sample")
    assert not hasattr(bare(KernelDensity()), "bic")


def bare(density):
    return StandardizedDensity(density)


@pytest.mark.parametrize("criterion", ["bic", "aic"])
def test_criteria_are_in_the_units_of_the_data(criterion):
    X = two_clusters() * [1e-3, 50.0]
    plain = EMGaussianMixture(2, random_state=0).fit(X)
    model = StandardizedDensity(EMGaussianMixture(2, random_state=0)).fit(X)
    expected = getattr(plain, criterion)(X)
    assert getattr(model, criterion)(X) == pytest.approx(expected, rel=1e-6)


def test_missing_entries_go_through_where_the_density_takes_them():
    X = two_clusters()
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        StandardizedDensity(KernelDensity()).fit(X)
    model = StandardizedDensity(BernoulliMixture(2, random_state=0)).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    X[:, 1] = np.nan
    with pytest.raises(ValueError, match="X has no observed entry in column 1"):
        model.fit(X)
    assert np.isfinite(model.score_samples(two_clusters())).all()


def test_the_score_of_a_row_with_holes_is_in_the_units_of_its_observed_entries():
    X = two_clusters() * [1e-3, 50.0]
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.2] = np.nan
    plain = EMGaussianMixture(1, covariance_prior=None, reg_covar=0.0)
    model = StandardizedDensity(plain).fit(X)
    plain.fit(X)
    np.testing.assert_allclose(model.score_samples(X), plain.score_samples(X), atol=1e-8)
    assert model.bic(X) == pytest.approx(plain.bic(X), rel=1e-8)


def test_a_row_far_out_moves_no_unit():
    X = two_clusters(300)
    far = np.r_[X, [[-999999.0, -999999.0]]]
    clean, found = (StandardizedDensity(KernelDensity()).fit(Y) for Y in (X, far))
    np.testing.assert_allclose(found.scale_, clean.scale_, rtol=0.02)
    np.testing.assert_allclose(found.score_samples(X), clean.score_samples(X), atol=0.05)


@pytest.mark.parametrize("density", ["KernelDensity", 3, None])
def test_what_is_no_density_is_refused(density):
    with pytest.raises(ValueError, match="The 'density' parameter"):
        StandardizedDensity(density).fit(two_clusters())


_checks = parametrize_with_checks(
    [
        StandardizedDensity(density)
        for density in (
            KernelDensity(),
            EMGaussianMixture(2, random_state=0),
            BernoulliMixture(2, random_state=0),
        )
    ]
)


@pytest.mark.parametrize(_checks.args[0], list(_checks.args[1]), ids=_checks.kwargs["ids"])
def test_scikit_learn_check(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


def test_standardized_density_is_an_estimator():
    model = StandardizedDensity(KernelDensity(bandwidth=0.3))
    twin = clone(model).set_params(density__bandwidth=0.5)
    assert (model.density.bandwidth, twin.density.bandwidth) == (0.3, 0.5)
    X = two_clusters()
    revived = pickle.loads(pickle.dumps(twin.fit(X)))
    np.testing.assert_array_equal(revived.score_samples(X), twin.score_samples(X))
    assert not hasattr(twin.density, "tree_"), "the density given is not the one that is fitted"
