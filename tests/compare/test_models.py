"""The models that are compared by default, and their grids."""

import numpy as np

from sklearn_lvm import BernoulliMixture, VariationalGaussianMixture
from sklearn_lvm.compare import compare_densities
from sklearn_lvm.compare.models import MODELS, TrainingSize
from tests.compare.helpers import binary_rows, two_clusters


def test_components_are_limited_by_what_a_fold_can_estimate():
    def most(name, size):
        grid = MODELS[name](TrainingSize(*size)).grid
        grid = [grid] if isinstance(grid, dict) else grid
        return [max(next(v for k, v in one.items() if k.endswith("n_components"))) for one in grid]

    # Full covariances need more rows than columns in each component, unless there is a prior.
    for (size, of_full), few in {((640, 63), 10): 40, ((10**5, 2), 80): 80, ((3, 2), 1): 1}.items():
        assert most("GaussianMixture", size) == [of_full, few]
        assert most("EMGaussianMixture", size)[0] == few
        assert most("VariationalGaussianMixture", size) == [min(few, 40), few]
    assert most("PCA", (50, 4)) == [3]
    assert most("EMGaussianMixture", (640, 63)) == [40, 10]
    assert most("EMGaussianMixture", (30, 5)) == [3, 3]
    for name in ("FactorAnalysis", "PPCA"):
        assert most(name, (50, 4)) == [3]
        assert most(name, (12, 40)) == [10]


def test_one_column_has_no_factors():
    rng = np.random.default_rng(0)
    for row in compare_densities(rng.normal(size=(60, 1)), ["FactorAnalysis", "PPCA"]).rows:
        assert np.isfinite(row.log_likelihood)


def test_components_of_low_rank_compete_where_columns_are_several():
    """One factor, and noise of each column, of more columns than full covariances take."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 1)) @ rng.normal(size=(1, 30)) + rng.normal(size=(50, 30))
    row = compare_densities(X, ["EMGaussianMixture"], cv=2).rows[0]
    assert row.best_params == {"covariance_type": "factor", "n_components": 1}
    few = MODELS["EMGaussianMixture"](TrainingSize(1000, 4)).grid
    many = MODELS["EMGaussianMixture"](TrainingSize(1000, 784)).grid
    assert "factor" not in [kind for grid in (*few, *many) for kind in grid["covariance_type"]]


def test_factor_analysis_does_not_depend_on_units():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 1)) @ rng.normal(size=(1, 6)) + rng.normal(size=(80, 6))
    unit = 10.0 ** np.arange(-3, 3)
    one, other = (
        compare_densities(rows, ["FactorAnalysis"], dequantize=False).rows[0]
        for rows in (X, unit * X)
    )
    assert one.best_params == other.best_params
    assert np.isclose(one.log_likelihood - other.log_likelihood, np.log(unit).sum())


def test_isotropic_models_choose_between_common_and_separate_scales():
    rows = compare_densities(two_clusters(), ["PPCA", "PCA", "KernelDensity"]).rows
    assert all("per_feature" in row.best_params for row in rows)


def test_principal_components_are_never_less_likely_as_a_density():
    """One model fitted to the rows it is scored on, where N and N - 1 make the difference."""
    X = np.random.default_rng(0).normal(size=(9, 5)) @ np.diag([5.0, 3.0, 1.0, 1.0, 1.0])
    found = {row.model: row for row in compare_densities(X, ["PPCA", "PCA"], cv=2).rows}
    assert np.isfinite(found["PPCA"].log_likelihood)
    fitted = [found[name].estimator.set_params(density__n_components=3) for name in ("PPCA", "PCA")]
    ours, theirs = (model.fit(X).score(X) for model in fitted)
    assert ours > theirs


def test_a_posterior_predicts_few_rows_better_than_an_estimate():
    rng = np.random.default_rng(0)
    X = 5 * rng.normal(size=(15, 1)) + rng.normal(size=(15, 4))
    best, other = compare_densities(X, ["GaussianMLE", "BayesianGaussian"]).rows
    assert (best.model, best.best_params) == ("BayesianGaussian", {"covariance_type": "full"})
    assert other.log_likelihood < best.log_likelihood - 0.2


def test_full_covariances_that_are_alike_are_found_without_tied_ones():
    """The prior is fitted to the components, and that is why the grid has no 'tied'."""
    rng = np.random.default_rng(0)
    centers, factor = 3.0 * rng.normal(size=(3, 6)), rng.normal(size=(6, 6))
    X = centers[rng.integers(3, size=60)] + rng.normal(size=(60, 6)) @ factor
    grid = {"covariance_type": ["tied"], "n_components": [1, 2, 3, 5]}
    tied = (VariationalGaussianMixture(), grid)
    row = compare_densities(X, ["VariationalGaussianMixture"]).rows[0]
    other = compare_densities(X, {"tied": tied}).rows[0]
    assert row.estimator.priors == "empirical"
    assert row.best_params["covariance_type"] == "full"
    assert row.log_likelihood > other.log_likelihood - 0.2


def test_posteriors_of_binary_mixtures_score_as_modes_do():
    """Which is why the comparison has them once."""
    grid = {"n_components": [1, 2, 3, 5]}
    variational = (BernoulliMixture(inference="variational", binarize=None), grid)
    X = binary_rows()
    modes = compare_densities(X, ["BernoulliMixture"]).rows[0]
    posteriors = compare_densities(X, {"posteriors": variational}, dequantize=False).rows[0]
    assert abs(modes.log_likelihood - posteriors.log_likelihood) < 0.1
