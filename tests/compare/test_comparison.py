"""Density models are ranked on held-out rows, all on one set of folds."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline

from sklearn_lvm import BetaBernoulli, EMGaussianMixture, StandardizedDensity
from sklearn_lvm.compare import compare_densities
from sklearn_lvm.compare.models import BINARY_MODELS, MODELS
from tests.compare.helpers import binary_rows, two_clusters

KILO = 1000.0


@pytest.fixture(scope="module")
def comparison():
    return compare_densities(two_clusters(), cv=3)


def test_every_model_has_a_score(comparison):
    assert {row.model for row in comparison.rows} == set(MODELS)
    assert [row.error for row in comparison.rows] == [""] * len(MODELS)
    assert np.isfinite([row.log_likelihood for row in comparison.rows]).all()


def test_units_shift_every_score_by_their_logarithm(comparison):
    shifted = compare_densities(KILO * two_clusters(), cv=3)
    after = {row.model: row for row in shifted.rows}
    for row in comparison.rows:
        other = after[row.model]
        expected = row.log_likelihood - 2 * np.log(KILO)
        assert other.log_likelihood == pytest.approx(expected, abs=1e-6), row.model
        assert other.best_params == row.best_params
        assert other.difference == pytest.approx(row.difference, abs=1e-6)


def test_differences_are_paired(comparison):
    best = comparison.rows[0]
    assert (best.difference, best.difference_standard_error) == (0.0, 0.0)
    for row in comparison.rows[1:]:
        paired = row.held_out - best.held_out
        assert row.difference == pytest.approx(row.log_likelihood - best.log_likelihood)
        assert row.difference <= 0
        expected = np.sqrt(paired.var(ddof=1) / len(paired))
        assert row.difference_standard_error == pytest.approx(expected)


def test_scores_are_means_over_rows_with_their_standard_error(comparison):
    for row in comparison.rows:
        assert row.held_out.shape == (60,)
        assert row.log_likelihood == pytest.approx(row.held_out.mean())
        assert row.standard_error == pytest.approx(row.held_out.std(ddof=1) / np.sqrt(60))
    ranked = [row.log_likelihood for row in comparison.rows]
    assert ranked == sorted(ranked, reverse=True)


def test_the_estimator_of_a_row_has_its_best_parameters(comparison):
    for row in comparison.rows:
        params = row.estimator.get_params()
        assert {key: params[key] for key in row.best_params} == row.best_params
        assert np.isfinite(row.estimator.fit(two_clusters()).score_samples(two_clusters())).all()


def test_all_models_are_scored_on_the_same_rows():
    twins = {name: GaussianMixture(2) for name in ("one", "other")}
    rows = compare_densities(two_clusters(), twins).rows
    np.testing.assert_array_equal(rows[0].held_out, rows[1].held_out)


def test_the_seed_decides_everything():
    def held_out(X, seed):
        models = {"m": (GaussianMixture(), {"n_components": [1, 2]})}
        return compare_densities(X, models, random_state=seed).rows[0].held_out

    X = np.round(two_clusters(), 1)
    np.testing.assert_array_equal(held_out(X, 3), held_out(X, 3))
    assert (held_out(X, 3) != held_out(X, 4)).any()
    generators = [np.random.RandomState(5) for _ in range(2)]
    np.testing.assert_array_equal(*(held_out(X, generator) for generator in generators))


@pytest.mark.parametrize("shape", [(4, 1), (12, 1), (9, 5), (6, 30)])
def test_small_tables_are_ranked(shape):
    X = np.random.default_rng(0).normal(size=shape)
    comparison = compare_densities(X, cv=2)
    assert {row.model: row.error for row in comparison.rows} == dict.fromkeys(MODELS, "")


def test_column_names_of_data_frames_are_kept():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(two_clusters(), columns=["height", "width"]).assign(n=3, kind=["1"] * 60)
    frame.loc[4, "height"] = None
    comparison = compare_densities(frame, {"gauss": EMGaussianMixture(1)})
    dropped, missing = comparison.notes
    assert dropped == "dropped 2 constant columns: n, kind"
    assert missing.startswith("1 of 120 cells (0.833 %) are missing, in 1 of 60 rows")
    assert (comparison.n_rows, comparison.n_columns) == (60, 2)


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        (np.zeros(5), {}, "expected a table"),
        (np.zeros((20, 2)), {}, "every column is constant"),
        (np.full((20, 2), np.nan), {}, "no values at all in x0, x1"),
        (np.c_[two_clusters(), np.full(60, np.inf)], {}, "infinite values in x2"),
        (np.array([[1, np.nan], [np.nan, 2]]), {}, "every column is constant"),
        (two_clusters(9), {}, "9 rows are too few for 5 folds"),
        (two_clusters(), {"cv": 1}, "cv must be at least 2"),
        (two_clusters(), {"models": ["PCA", "Fortune"]}, "unknown model Fortune; known are Gauss"),
        (two_clusters(), {"models": []}, "no models"),
        (np.array([["a", "1"], ["2", "2"]]), {}, "not numeric: x0 .*'a' in row 1"),
        (two_clusters() + 1j, {}, "not numeric"),
        (two_clusters(), {"models": 3}, "models must be names, estimators or a mapping"),
        (two_clusters(), {"models": [KernelDensity]}, "models must be names, or estimators"),
        (two_clusters(), {"models": [(KernelDensity(), {})]}, "without a name"),
        (two_clusters(), {"models": {"m": (KernelDensity(), [])}}, "a grid without any setting"),
        (
            two_clusters(),
            {"models": {"m": (KernelDensity(), {"kernel": "gaussian"})}},
            "a grid that cannot be searched",
        ),
        (two_clusters(), {"progress": True}, "progress must be a function"),
    ],
)
def test_input_that_cannot_be_compared(X, options, message):
    with pytest.raises(ValueError, match=message):
        compare_densities(X, **options)


@pytest.mark.parametrize("change", [lambda X: X, lambda X: X.astype(bool), lambda X: X * 1.0])
def test_binary_tables_are_compared_by_binary_models(change):
    comparison = compare_densities(change(binary_rows()), cv=2)
    assert {row.model for row in comparison.rows} == set(BINARY_MODELS)
    assert comparison.rows[0].model == "BernoulliMixture"
    assert not any(row.error for row in comparison.rows)
    assert any("every column is 0/1" in note for note in comparison.notes)
    assert any("BernoulliRBM" in n and "not a likelihood" in n for n in comparison.notes)
    assert not any("noise" in note for note in comparison.notes)
    assert "pseudo-likelihood" in str(comparison)


def test_binary_scores_are_held_out_probabilities():
    X = binary_rows()
    comparison = compare_densities(X, ["BetaBernoulli"], cv=2)
    same = compare_densities(X, {"coins": BetaBernoulli(binarize=None)}, cv=2, dequantize=False)
    assert_array_equal(comparison.rows[0].held_out, same.rows[0].held_out)
    assert (np.exp(comparison.rows[0].held_out) < 1).all()


def test_densities_asked_for_by_name_get_their_noise():
    comparison = compare_densities(binary_rows(), ["GaussianMLE", "BernoulliMixture"], cv=2)
    assert any("noise" in note for note in comparison.notes)
    assert not any("0/1" in note for note in comparison.notes)
    failed = comparison.rows[-1]
    assert failed.model == "BernoulliMixture"
    assert "nothing but 0, 1" in failed.error


def test_a_single_other_value_makes_a_table_of_numbers():
    X = binary_rows()
    X[0, 0] = 2
    comparison = compare_densities(X, cv=2)
    assert {row.model for row in comparison.rows} == set(MODELS)


def test_empty_and_constant_parts_of_a_binary_table_are_dropped_and_named():
    X = np.column_stack([binary_rows() * 1.0, np.ones(90)])
    X[3, 1] = X[5, :4] = np.nan
    comparison = compare_densities(X, cv=2)
    assert comparison.n_rows == 89
    assert comparison.n_columns == 4
    assert any("dropped 1 row without any observed cell" in note for note in comparison.notes)
    assert any("dropped 1 constant column" in note for note in comparison.notes)
    assert any("1 of 356 cells" in note for note in comparison.notes)
    assert {row.model for row in comparison.rows if row.scored} == set(BINARY_MODELS)


# -- missing cells -------------------------------------------------------------------------------------


def with_holes(share=0.2, n=60):
    X = two_clusters(n)
    return np.where(np.random.RandomState(1).uniform(size=X.shape) < share, np.nan, X)


def gaussian():
    return EMGaussianMixture(1, covariance_prior=None, reg_covar=0.0)


def test_held_out_scores_are_those_of_the_observed_cells_for_every_model_that_takes_nan():
    X = with_holes()[~np.isnan(with_holes()).all(axis=1)]
    models = {"plain": gaussian(), "standardized": StandardizedDensity(gaussian())}
    models |= {"kernels": KernelDensity(), "no tags": Untagged(), "pipe": make_pipeline(gaussian())}
    comparison = compare_densities(X, models, cv=KFold(3))
    scored = [row for row in comparison.rows if row.scored]
    for row in scored:
        assert row.held_out.shape == (len(X),)
        for train, test in KFold(3).split(X):
            expected = gaussian().fit(X[train]).score_samples(X[test])
            np.testing.assert_allclose(row.held_out[test], expected, atol=1e-8)
    others = {row.model: (row.left_out, row.error) for row in comparison.rows if not row.scored}
    reason = ("takes no missing entries", "")
    assert others == dict.fromkeys(["kernels", "no tags", "pipe"], reason)
    assert "- kernels       left out: takes no missing entries" in str(comparison)


class Untagged:
    """Has what a density must have, and nothing else."""

    def fit(self, X):
        return self

    def score_samples(self, X):
        return np.zeros(len(X))


def test_units_shift_scores_by_the_number_of_observed_cells():
    X, names = with_holes(), ["EMGaussianMixture", "VariationalGaussianMixture"]
    rows, scaled = (compare_densities(table, names, cv=2).rows for table in (X, KILO * X))
    after = {row.model: row for row in scaled}
    n_observed = np.count_nonzero(~np.isnan(X[~np.isnan(X).all(axis=1)]), axis=1)
    for row in rows:
        shift = n_observed * np.log(KILO)
        np.testing.assert_allclose(after[row.model].held_out, row.held_out - shift, atol=1e-6)


def test_a_setting_that_takes_nan_is_enough():
    grid = {"density": [KernelDensity(), gaussian()]}
    models = {"either": (StandardizedDensity(KernelDensity()), grid)}
    (row,) = compare_densities(with_holes(), models, cv=2).rows
    assert isinstance(row.best_params["density"], EMGaussianMixture)


def test_rounds_of_the_search_go_through_tables_with_missing_cells():
    grid = {"n_components": [1, 2], "covariance_type": ["diag"]}
    models = {"mixture": (EMGaussianMixture(), grid), "kernels": KernelDensity()}
    comparison = compare_densities(with_holes(n=2500), models, cv=2)
    best, other = comparison.rows
    assert best.best_params["n_components"] == 2
    assert other.left_out
    assert np.isfinite(best.held_out).all()
    assert comparison.fit_best().n_features_in_ == 2


def test_a_column_that_some_fold_has_nothing_to_fit_to_of_is_dropped_and_named():
    X = np.c_[two_clusters(), np.full(60, np.nan)]
    X[:3, 2] = [0.0, 1.0, 5.0]
    X[1, :2] = np.nan  # whose only cell goes with the column
    comparison = compare_densities(X, ["EMGaussianMixture"], cv=KFold(3))
    assert (comparison.n_rows, comparison.n_columns) == (59, 2)
    named, empty = comparison.notes
    assert named == "dropped, for some fold has no observed cell to fit to, 1 column: x2"
    assert empty == "dropped 1 row without any observed cell"
    assert comparison.rows[0].scored


def test_columns_of_which_each_is_unknown_to_some_fold_leave_nothing_to_compare():
    X = two_clusters()
    X[:30, 0] = X[30:, 1] = np.nan
    with pytest.raises(ValueError, match="every column is without any observed cell"):
        compare_densities(X, ["EMGaussianMixture"], cv=KFold(2))


def test_binary_tables_with_missing_cells_are_compared_on_the_observed_ones():
    X = np.where(np.random.RandomState(0).uniform(size=(90, 4)) < 0.2, np.nan, binary_rows())
    comparison = compare_densities(X, cv=2)
    assert {row.model for row in comparison.rows if row.scored} == set(BINARY_MODELS)
    kept = X[~np.isnan(X).all(axis=1)]
    coins = {row.model: row for row in comparison.rows}["BetaBernoulli"]
    complete = coins.estimator.fit(kept).score_samples(np.nan_to_num(kept))
    assert (coins.held_out < 0).all()
    assert coins.held_out.mean() > complete.mean()  # less was to be predicted
    assert any("missing" in note for note in comparison.notes)
