"""The comparison of density models: data in, leaderboard out."""

import csv
import io
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.base import BaseEstimator, clone
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import sklearn_lvm.__main__ as command
from sklearn_lvm import BetaBernoulli
from sklearn_lvm.compare import compare_densities
from sklearn_lvm.compare.models import BINARY_MODELS, MODELS, TrainingSize
from sklearn_lvm.compare.preprocessing import grid_step, prepare
from sklearn_lvm.compare.readers import as_table, read_table
from sklearn_lvm.compare.report import Comparison, ModelScore
from sklearn_lvm.estimators.standardized import StandardizedDensity

KILO = 1000.0


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Keep threads from waiting for each other over matrices of a few rows."""
    with threadpool_limits(1):
        yield


def two_clouds(n=60, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, 2))
    X[: n // 2] += 4
    return X @ np.array([[1.0, 0.4], [0.0, 0.7]])


class Uniform:
    """A density with no parameters and none of scikit-learn's machinery."""

    def fit(self, X):
        self.log_volume = float(np.log(2000.0) * X.shape[1])

    def score_samples(self, X):
        return np.full(len(X), -self.log_volume)


class Unseen(BaseEstimator):
    """Zero for a row that was not in the training rows, minus one for a row that was."""

    def fit(self, X, y=None):
        self.seen_ = set(X[:, 0])
        return self

    def score_samples(self, X):
        return np.array([-1.0 if x in self.seen_ else 0.0 for x in X[:, 0]])


class Scripted(BaseEstimator):
    """Fails, or gives the scores it is told to give."""

    def __init__(self, score=0.0, error=None, random_state=None):
        self.score = score
        self.error = error
        self.random_state = random_state

    def fit(self, X, y=None):
        if self.error:
            raise RuntimeError(self.error)
        return self

    def score_samples(self, X):
        return np.full(np.shape(X)[:1] if np.isscalar(self.score) else (1,), self.score)


# --- The density on standardised columns ------------------------------------------------------


@pytest.mark.parametrize("per_feature", [True, False])
def test_log_jacobian_is_exact(per_feature):
    X = two_clouds() * [0.02, 50.0] + [3.0, -1e3]
    gaussian = GaussianMixture(1, reg_covar=0.0)
    model = StandardizedDensity(gaussian, per_feature=per_feature).fit(X)
    expected = multivariate_normal(X.mean(axis=0), np.cov(X.T, bias=True)).logpdf(X)
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-8)
    assert model.score(X) == pytest.approx(expected.mean())


def test_one_scale_for_all_columns_keeps_ratios_of_distances():
    X = two_clouds() * [1.0, 50.0]
    common = StandardizedDensity(KernelDensity(), per_feature=False).fit(X)
    assert common.scale_[0] == common.scale_[1] == pytest.approx(np.sqrt(X.var(axis=0).mean()))


def test_a_column_that_does_not_vary_keeps_its_unit():
    X = np.c_[two_clouds(), np.full(60, 7.0)]
    assert StandardizedDensity(KernelDensity()).fit(X).scale_[2] == 1.0


def test_standardized_density_is_an_estimator():
    model = StandardizedDensity(KernelDensity(bandwidth=0.3))
    twin = clone(model).set_params(density__bandwidth=0.5)
    assert (model.density.bandwidth, twin.density.bandwidth) == (0.3, 0.5)
    X = two_clouds()
    revived = pickle.loads(pickle.dumps(twin.fit(X)))
    np.testing.assert_array_equal(revived.score_samples(X), twin.score_samples(X))
    assert not hasattr(twin.density, "tree_"), "the density given is not the one that is fitted"


# --- Grids, constants and noise ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([0, 1, 1, 0], 1),
        ([3, 1, 2, 16], 1),
        ([0.5, 1.0, 3.5], 0.5),
        ([5.1, 4.9, 4.7, 7.0, 5.4], 0.1),
        ([0, 3, 7, 12], 1),
        ([-299, 120, 225], 1),
        (np.array([-122, 10, 743]) * 1.741490465751094e-05, 1.741490465751094e-05),
        ([0.1 + 0.2, 0.3, 0.1, 0.6], 0.1),
        (np.float32([5.1, 4.9, 4.7, 7.0, 5.4]), 0.1),
        ([1.7e9 + 0.25, 1.7e9, 1.7e9 + 1], 0.25),
        (np.arange(1000) * 1e-9, 1e-9),
        ([2.0, 2.0, 2.0], None),
        ([0.1 + 0.2, 0.3], None),
        ([3e8 * (0.1 + 0.2), 3e8 * 0.3], None),
        ([0, 1, np.pi, 7 * np.e, 19 * np.sqrt(2), 100 / 7], None),
        (np.random.default_rng(0).normal(size=500), None),
        (np.random.default_rng(0).uniform(1, 2, size=5000), None),
        (np.exp(np.arange(20.0)), None),
    ],
)
def test_grid_step(values, step):
    found = grid_step(np.asarray(values, dtype=float))
    assert found == (step if step is None else pytest.approx(step, rel=1e-6))


@given(
    ticks=st.lists(st.integers(-500, 500), min_size=2, max_size=40, unique=True),
    unit=st.floats(1e-6, 1e6),
    offset=st.integers(-500, 500),
)
def test_grid_step_is_the_common_divisor_of_the_gaps_in_any_unit(ticks, unit, offset):
    divisor = np.gcd.reduce(np.diff(np.sort(ticks)))
    found = grid_step((np.array(ticks) + offset) * unit)
    assert found == pytest.approx(divisor * unit, rel=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(10, 300))
def test_full_precision_is_not_a_grid(seed, n):
    assert grid_step(np.random.default_rng(seed).normal(size=n)) is None


def prepared(X, dequantize=True, seed=0, columns=None):
    rng = np.random.RandomState(seed)
    return prepare(as_table(X, columns), dequantize=dequantize, rng=rng)


def test_noise_fills_one_step_of_the_columns_on_a_grid_and_no_others():
    counts = np.random.default_rng(0).integers(0, 5, size=2000)
    X = np.c_[counts, counts * 0.25, np.random.default_rng(1).normal(size=2000)]
    noise = prepared(X).X - X
    for column, step in zip(noise.T, (1.0, 0.25), strict=False):
        assert 0 <= column.min() < 0.01 * step
        assert 0.99 * step < column.max() < step
    assert not noise[:, 2].any()
    np.testing.assert_array_equal(prepared(X).X, prepared(X).X)
    assert (prepared(X, seed=1).X[:, 0] != prepared(X).X[:, 0]).all()
    np.testing.assert_array_equal(prepared(X, dequantize=False).X, X)


def test_notes_name_what_was_dropped_and_filled():
    X = np.c_[two_clouds(), np.full(60, 0.3), np.arange(60) % 4]
    X[:3, 0] = np.nan
    data = prepared(X, columns=["a", "b", "same", "count"])
    assert data.X.shape == (57, 3)
    assert data.columns == ("a", "b", "count")
    assert data.notes == (
        "dropped 3 rows with missing entries",
        "dropped 1 constant column: same",
        "added uniform noise of one grid step (1) to 1 column: count",
    )


def test_every_constant_column_is_named():
    X = np.c_[np.zeros((60, 12)), two_clouds()]
    (note,) = prepared(X).notes
    assert note.endswith(": " + ", ".join(f"x{j}" for j in range(12)))


def test_notes_warn_of_densities_without_a_bound():
    X = np.c_[two_clouds(), np.arange(60) % 4]
    X[:20, 0] = 0.0
    off, atom = prepared(X, dequantize=False).notes
    assert off.startswith("no noise added")
    assert off.endswith("1 column: x2")
    assert atom.endswith("in 1 column: x0")


# --- The comparison ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clouds():
    return compare_densities(two_clouds(), cv=3)


def test_every_model_has_a_score(clouds):
    assert {row.model for row in clouds.rows} == set(MODELS)
    assert [row.error for row in clouds.rows] == [""] * len(MODELS)
    assert np.isfinite([row.log_likelihood for row in clouds.rows]).all()


def test_units_shift_every_score_by_their_logarithm(clouds):
    shifted = compare_densities(KILO * two_clouds(), cv=3)
    after = {row.model: row for row in shifted.rows}
    for row in clouds.rows:
        other = after[row.model]
        expected = row.log_likelihood - 2 * np.log(KILO)
        assert other.log_likelihood == pytest.approx(expected, abs=1e-6), row.model
        assert other.best_params == row.best_params
        assert other.difference == pytest.approx(row.difference, abs=1e-6)


def test_differences_are_paired(clouds):
    best = clouds.rows[0]
    assert (best.difference, best.difference_standard_error) == (0.0, 0.0)
    for row in clouds.rows[1:]:
        paired = row.held_out - best.held_out
        assert row.difference == pytest.approx(row.log_likelihood - best.log_likelihood)
        assert row.difference <= 0
        expected = np.sqrt(paired.var(ddof=1) / len(paired))
        assert row.difference_standard_error == pytest.approx(expected)


def test_scores_are_means_over_rows_with_their_standard_error(clouds):
    for row in clouds.rows:
        assert row.held_out.shape == (60,)
        assert row.log_likelihood == pytest.approx(row.held_out.mean())
        assert row.standard_error == pytest.approx(row.held_out.std(ddof=1) / np.sqrt(60))
    ranked = [row.log_likelihood for row in clouds.rows]
    assert ranked == sorted(ranked, reverse=True)


def test_the_estimator_of_a_row_has_its_best_parameters(clouds):
    for row in clouds.rows:
        params = row.estimator.get_params()
        assert {key: params[key] for key in row.best_params} == row.best_params
        assert np.isfinite(row.estimator.fit(two_clouds()).score_samples(two_clouds())).all()


def test_no_row_is_scored_by_a_model_that_saw_it():
    comparison = compare_densities(two_clouds(), {"unseen": Unseen()})
    assert not comparison.rows[0].held_out.any()


def test_all_models_are_scored_on_the_same_rows():
    twins = {name: GaussianMixture(2) for name in ("one", "other")}
    rows = compare_densities(two_clouds(), twins).rows
    np.testing.assert_array_equal(rows[0].held_out, rows[1].held_out)


def test_the_seed_decides_everything():
    def held_out(X, seed):
        models = {"m": (GaussianMixture(), {"n_components": [1, 2]})}
        return compare_densities(X, models, random_state=seed).rows[0].held_out

    X = np.round(two_clouds(), 1)
    np.testing.assert_array_equal(held_out(X, 3), held_out(X, 3))
    assert (held_out(X, 3) != held_out(X, 4)).any()
    generators = [np.random.RandomState(5) for _ in range(2)]
    np.testing.assert_array_equal(*(held_out(X, generator) for generator in generators))


def test_the_seed_goes_to_models_that_have_none_of_their_own():
    models = {
        "unset": Scripted(),
        "set": Scripted(random_state=11),
        "inside": StandardizedDensity(Scripted()),
    }
    rows = compare_densities(two_clouds(), models, random_state=7).rows
    seeds = {row.model: row.estimator.get_params() for row in rows}
    assert seeds["unset"]["random_state"] == 7
    assert seeds["set"]["random_state"] == 11
    assert seeds["inside"]["density__random_state"] == 7
    assert models["unset"].random_state is None


def test_an_estimator_needs_no_more_than_fit_and_score_samples():
    (row,) = compare_densities(two_clouds(), {"uniform": Uniform()}).rows
    assert row.log_likelihood == pytest.approx(-2 * np.log(2000))
    assert row.standard_error == pytest.approx(0, abs=1e-12)


def test_the_best_setting_of_a_grid_is_found():
    bandwidth = [1e-3, 0.5, 1e3]
    models = {"kde": (KernelDensity(), {"bandwidth": bandwidth})}
    (row,) = compare_densities(two_clouds(), models).rows
    assert row.best_params == {"bandwidth": 0.5}


def test_models_that_fail_come_last_with_the_reason():
    X = two_clouds()
    models = {
        "broken": Scripted(error="out of\ncheese"),
        "nan": Scripted(score=np.nan),
        "unbounded": Scripted(score=np.inf),
        "shape": Scripted(score=[0.0]),
        "misspelt": (KernelDensity(), {"bandwith": [1.0]}),
        "scoreless": StandardScaler(),
        "fine": KernelDensity(),
        # One setting that fails leaves the other.
        "partly": (Scripted(), {"error": ["no", None]}),
    }
    rows = {row.model: row for row in compare_densities(X, models).rows}
    assert list(rows)[:2] == ["partly", "fine"]
    assert rows["partly"].best_params == {"error": None}
    assert rows["broken"].error == "RuntimeError: out of cheese"
    assert "NaN or infinite" in rows["nan"].error
    assert "NaN or infinite" in rows["unbounded"].error
    assert "shape (1,)" in rows["shape"].error
    assert "bandwith" in rows["misspelt"].error
    assert "score_samples" in rows["scoreless"].error


def test_a_density_of_zero_ranks_last_but_is_no_failure():
    models = {"zero": KernelDensity(kernel="tophat", bandwidth=0.01), "fine": KernelDensity()}
    comparison = compare_densities(two_clouds(), models)
    assert [row.model for row in comparison.rows] == ["fine", "zero"]
    assert comparison.rows[1].log_likelihood == -np.inf
    assert json.loads(comparison.to_json())["models"][1]["log_likelihood"] is None


def test_unconverged_folds_are_counted_and_no_warning_escapes_a_worker(capfd):
    models = {"hasty": GaussianMixture(5, max_iter=1, tol=1e-9), "fine": GaussianMixture(1)}
    comparison = compare_densities(two_clouds(), models, cv=3, n_jobs=2)
    folds = {row.model: row.unconverged_folds for row in comparison.rows}
    assert folds == {"hasty": 3, "fine": 0}
    assert "* hasty: stopped before it converged in 3 folds" in str(comparison)
    assert capfd.readouterr() == ("", "")


def test_long_numbers_and_parameters_stay_in_their_columns():
    fine = ModelScore("fine", -1.25, 0.5, 0.0, 0.0, {"a__b__width": 1 / 3, "kind": "x"}, 0.1, 0.2)
    far = ModelScore("far", -8.3e8, 4.8e8, -8.3e8, 4.8e8, {"bins": list(range(99))}, 1.0, 2.0)
    *_, header, first, second = str(Comparison((fine, far), (), 9, 1, 2)).splitlines()
    assert first.endswith("0.100   0.200  width=0.333, kind=x")
    assert header.index("best parameters") == first.index("width") == second.index("bins")
    assert "-8e+08" in second
    assert len(second) == 120
    assert second.endswith("…")


def test_a_pipeline_is_marked():
    models = {"pipe": make_pipeline(StandardScaler(), KernelDensity())}
    assert "* pipe: a pipeline leaves the log-Jacobian" in str(compare_densities(X_SMALL, models))


X_SMALL = two_clouds(12)


@pytest.mark.parametrize("shape", [(4, 1), (12, 1), (9, 5), (6, 30)])
def test_small_tables_have_a_leaderboard(shape):
    X = np.random.default_rng(0).normal(size=shape)
    comparison = compare_densities(X, cv=2)
    assert {row.model: row.error for row in comparison.rows} == dict.fromkeys(MODELS, "")


def test_components_are_limited_by_what_a_fold_can_estimate():
    def most(name, size):
        grid = MODELS[name](TrainingSize(*size)).grid
        return [max(next(v for k, v in one.items() if k.endswith("n_components"))) for one in grid]

    for name in ("EMGaussianMixture", "GaussianMixture"):
        # Full covariances need more rows than columns in each component; the others ten rows.
        assert most(name, (640, 63)) == [10, 40]
        assert most(name, (10**5, 2)) == [80, 80]
        assert most(name, (3, 2)) == [1, 1]
    assert most("PCA", (50, 4)) == [3]
    assert most("FactorAnalysis", (3, 40)) == [2]
    assert most("PPCA", (50, 4)) == [3]
    assert most("PPCA", (12, 40)) == [10]


def test_isotropic_models_choose_between_common_and_separate_scales():
    rows = compare_densities(two_clouds(), ["PPCA", "PCA", "KernelDensity"]).rows
    assert all("per_feature" in row.best_params for row in rows)


def test_principal_components_are_never_less_likely_as_a_density():
    """One model fitted to the rows it is scored on, where N and N - 1 make the difference."""
    X = np.random.default_rng(0).normal(size=(9, 5)) @ np.diag([5.0, 3.0, 1.0, 1.0, 1.0])
    found = {row.model: row for row in compare_densities(X, ["PPCA", "PCA"], cv=2).rows}
    assert np.isfinite(found["PPCA"].log_likelihood)
    fitted = [found[name].estimator.set_params(density__n_components=3) for name in ("PPCA", "PCA")]
    ours, theirs = (model.fit(X).score(X) for model in fitted)
    assert ours > theirs


def test_data_frames_bring_their_names():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(two_clouds(), columns=["height", "width"]).assign(n=3, kind=["1"] * 60)
    frame.loc[4, "height"] = None
    comparison = compare_densities(frame, {"kde": KernelDensity()})
    assert comparison.notes[1] == "dropped 2 constant columns: n, kind"
    assert (comparison.n_rows, comparison.n_columns) == (59, 2)


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        (np.zeros(5), {}, "expected a table"),
        (np.zeros((20, 2)), {}, "every column is constant"),
        (np.full((20, 2), np.nan), {}, "no values at all in x0, x1"),
        (np.c_[two_clouds(), np.full(60, np.inf)], {}, "infinite values in x2"),
        (np.array([[1, np.nan], [np.nan, 2]]), {}, "every row has a missing entry"),
        (two_clouds(9), {}, "9 complete rows are too few for 5 folds"),
        (two_clouds(), {"cv": 1}, "cv must be at least 2"),
        (two_clouds(), {"models": ["PCA", "Fortune"]}, "unknown model Fortune; known are Gauss"),
        (two_clouds(), {"models": []}, "no models"),
        (np.array([["a", "1"], ["2", "2"]]), {}, "not numeric: x0 .*'a' in row 1"),
        (two_clouds() + 1j, {}, "not numeric"),
    ],
)
def test_input_that_cannot_be_compared(X, options, message):
    with pytest.raises(ValueError, match=message):
        compare_densities(X, **options)


# --- Files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("a.csv", "a,b\n1,2\n3,\n", ("a", "b")),
        ("a.csv", "1,2\n3,NA\n", ("x0", "x1")),
        ("a.csv", "\ufeffa;b\r\n1;2\r\n\r\n3;nan\r\n", ("a", "b")),
        ("a.csv", "1\t2\n3\t \n", ("x0", "x1")),
        ("a.tsv", '"a"\t"b, in m"\n1\t2\n3\tnull\n', ("a", "b, in m")),
        ("a.CSV", "year,2\n1,2.0\n3e0,\n", ("year", "2")),
    ],
)
def test_csv(tmp_path, name, text, columns):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    table = read_table(path)
    np.testing.assert_array_equal(table.X, [[1, 2], [3, np.nan]])
    assert (table.columns, table.name) == (columns, name)


@pytest.mark.parametrize(
    "arrays",
    [
        {"data": [[1, 2]], "target": [1]},
        {"X": [[1, 2]], "Z": [[3]]},
        {"X_train": [[1, 2]], "X_test": [[3]]},
        {"X": [[1, 2]], "X_train": [[3]], "names": [["a"]]},
        {"table": [[1, 2]], "objects": np.array([[None]], dtype=object)},
    ],
)
def test_npz(tmp_path, arrays):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    np.testing.assert_array_equal(read_table(path).X, [[1.0, 2.0]])


def test_npy(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1, 0]], dtype=bool))
    np.testing.assert_array_equal(read_table(tmp_path / "a.npy").X, [[1.0, 0.0]])


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2], "b": pd.array([0.5, None], dtype="Float64")})
    frame.to_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    np.testing.assert_array_equal(table.X, [[1, 0.5], [2, np.nan]])
    assert table.columns == ("a", "b")


def test_parquet_without_pandas_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ValueError, match=r'pip install "sklearn-lvm\[parquet\]"'):
        read_table(tmp_path / "a.parquet")


# --- The command ------------------------------------------------------------------------------


@pytest.fixture
def csv_file(tmp_path):
    path = tmp_path / "clouds.csv"
    X = np.c_[two_clouds(), np.ones(60), np.arange(60) % 3]
    np.savetxt(path, X, delimiter=",", header="a,b,same,count", comments="")
    return path


CHEAP = ("--models", "KernelDensity, PCA", "--jobs", "1", "--cv", "3")


def coins(n=90, d=4, seed=0):
    """Zeros and ones of two kinds of rows."""
    rng = np.random.default_rng(seed)
    p = np.array([[0.9], [0.1]])[rng.integers(2, size=n)]
    return (rng.uniform(size=(n, d)) < p).astype(int)


@pytest.mark.parametrize("change", [lambda X: X, lambda X: X.astype(bool), lambda X: X * 1.0])
def test_binary_tables_are_compared_by_binary_models(change):
    comparison = compare_densities(change(coins()), cv=2)
    assert {row.model for row in comparison.rows} == set(BINARY_MODELS)
    assert comparison.rows[0].model == "BernoulliMixture"
    assert not any(row.error for row in comparison.rows)
    assert any("every column is 0/1" in note for note in comparison.notes)
    assert any("BernoulliRBM" in n and "not a likelihood" in n for n in comparison.notes)
    assert not any("noise" in note for note in comparison.notes)
    assert "pseudo-likelihood" in str(comparison)


def test_binary_scores_are_held_out_probabilities():
    X = coins()
    comparison = compare_densities(X, ["BetaBernoulli"], cv=2)
    same = compare_densities(X, {"coins": BetaBernoulli(binarize=None)}, cv=2, dequantize=False)
    assert_array_equal(comparison.rows[0].held_out, same.rows[0].held_out)
    assert (np.exp(comparison.rows[0].held_out) < 1).all()


def test_densities_asked_for_by_name_get_their_noise():
    comparison = compare_densities(coins(), ["GaussianMLE", "BernoulliMixture"], cv=2)
    assert any("noise" in note for note in comparison.notes)
    assert not any("0/1" in note for note in comparison.notes)
    failed = comparison.rows[-1]
    assert failed.model == "BernoulliMixture"
    assert "nothing but 0, 1" in failed.error


def test_a_single_other_value_makes_a_table_of_numbers():
    X = coins()
    X[0, 0] = 2
    comparison = compare_densities(X, cv=2)
    assert {row.model for row in comparison.rows} == set(MODELS)


def test_incomplete_and_constant_parts_of_a_binary_table_are_dropped_and_named():
    X = np.column_stack([coins() * 1.0, np.ones(90)])
    X[3, 1] = np.nan
    comparison = compare_densities(X, cv=2)
    assert comparison.n_rows == 89
    assert comparison.n_columns == 4
    assert any("dropped 1 row with" in note for note in comparison.notes)
    assert any("dropped 1 constant column" in note for note in comparison.notes)
    assert {row.model for row in comparison.rows} == set(BINARY_MODELS)


def test_command_prints_a_leaderboard(csv_file, capsys):
    assert command.main([str(csv_file), *CHEAP]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(
        "clouds.csv: 60 rows, 3 columns, 3 folds\n  dropped 1 constant column: same"
    )
    assert "one grid step (1) to 1 column: count" in out
    assert max(map(len, out.splitlines())) <= 120
    assert err == ""
    assert command.main(["compare", str(csv_file), *CHEAP, "--no-dequantize"]) == 0
    assert "no noise added" in capsys.readouterr().out


def test_json(csv_file, capsys):
    command.main([str(csv_file), *CHEAP, "--json"])
    record = json.loads(capsys.readouterr().out)
    assert record["notes"][0] == "dropped 1 constant column: same"
    first, second = record["models"]
    assert {first["model"], second["model"]} == {"KernelDensity", "PCA"}
    assert first["difference"] == 0
    assert second["difference"] == pytest.approx(
        second["log_likelihood"] - first["log_likelihood"], abs=1e-9
    )


def test_csv_output(csv_file, capsys):
    command.main([str(csv_file), *CHEAP, "--csv"])
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["model"] for row in rows} == {"KernelDensity", "PCA"}
    assert float(rows[0]["log_likelihood"]) > float(rows[1]["log_likelihood"])
    assert all(json.loads(row["best_params"]) for row in rows)
    assert "dropped 1 constant column: same" in err


def archive(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


BAD_FILES = {
    "text.csv": (b"a,b\n1,x\n2,y\n", "not numeric: b (for example 'x' in row 1 of b)"),
    "empty_column.csv": (b"a,b\n1,\n2,NA\n", "no values at all in b"),
    "ragged.csv": (b"a,b\n1,2\n1\n", "line 3 has 1 cells, line 1 has 2"),
    "empty.csv": (b"", "no rows"),
    "header.csv": (b"a,b\n", "no rows"),
    "latin.csv": (b"\xe9,b\n1,2\n", "not a text file in UTF-8"),
    "infinite.csv": (b"a,b\n1,inf\n2,3\n", "infinite values in b"),
    "short.csv": (b"a,b\n1,2\n2,3\n", "2 complete rows are too few for 5 folds"),
    "table.xlsx": (b"", "unknown kind of file; known are .csv"),
    "noise.npz": (b"PK no zip", "not a NumPy file"),
    "noise.npy": (b"noise", "not a NumPy file"),
    "nothing.npz": (archive(a=[1.0], b=[["x"]]), "no numeric 2-d array; the file holds a, b"),
    "several.npz": (archive(a=[[1.0]], b=[[2.0]]), "several two-dimensional arrays"),
    "objects.npz": (archive(a=np.array([[None]], dtype=object)), "the file holds a"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_used_is_one_line_and_code_2(tmp_path, name, capsys):
    content, message = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    assert command.main([str(tmp_path / name)]) == 2
    assert_one_line(capsys, message)


def assert_one_line(capsys, message):
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("sklearn-lvm: error: ")
    assert message in err
    assert err.count("\n") == 1


def test_corrupt_parquet_is_one_line_and_code_2(tmp_path, capsys):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(b"no parquet at all")
    assert command.main([str(tmp_path / "a.parquet")]) == 2
    assert_one_line(capsys, "a.parquet")


def test_no_file_and_no_such_model(tmp_path, capsys):
    assert command.main([str(tmp_path / "gone.csv")]) == 2
    assert_one_line(capsys, "gone.csv: no such file")
    assert command.main([str(tmp_path)]) == 2
    assert_one_line(capsys, "unknown kind of file")
    assert command.main(["--models", "Fortune"]) == 2
    assert_one_line(capsys, "unknown model Fortune; known are GaussianMLE")


def test_interrupt_is_code_130_without_a_traceback(csv_file, monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_compare", interrupted)
    assert command.main([str(csv_file)]) == 130
    assert capsys.readouterr() == ("", "")


def test_code_1_if_every_model_fails(csv_file, monkeypatch, capsys):
    def broken(size):
        raise ImportError("no such backend")

    monkeypatch.setitem(MODELS, "PCA", broken)
    assert command.main([str(csv_file), "--models", "PCA"]) == 1
    assert "- PCA  failed: ImportError: no such backend" in capsys.readouterr().out


def test_progress_is_a_line_per_model_without_rich(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    assert list(command._progress()(["PCA", "KernelDensity"])) == ["PCA", "KernelDensity"]
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split()[:2] for line in err.splitlines()] == [
        ["1/2", "PCA"],
        ["2/2", "KernelDensity"],
    ]


def test_progress_is_a_bar_with_rich(monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(command._progress()(["PCA", "KernelDensity"])) == ["PCA", "KernelDensity"]
    assert capsys.readouterr().out == ""


def test_help_loads_nothing_heavy():
    code = (
        "import sys, sklearn_lvm.__main__ as command\n"
        "try: command.main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(' '.join({'numpy', 'sklearn', 'scipy', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.split() == []
    assert "--no-dequantize" in done.stdout


@pytest.mark.slow
def test_default_leaderboard(capsys):
    assert command.main(["--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["n_rows"], record["n_columns"]) == (1797, 61)
    scores = {row["model"]: row["log_likelihood"] for row in record["models"]}
    assert set(scores) == set(MODELS)
    assert -118 < scores["GaussianMixture"] < -113
    assert -132 < scores["GaussianMLE"] < -129
