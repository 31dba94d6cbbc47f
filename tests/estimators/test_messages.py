"""Bad input gets an error that names the argument, what was given and what is allowed."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from sklearn_lvm import (
    PPCA,
    BayesianGaussian,
    BernoulliMixture,
    BetaBernoulli,
    EMGaussianMixture,
    GaussianMLE,
    VAEDensity,
    VariationalGaussianMixture,
)

from .specs import EXACT, SPECS, clouds, every_exact, every_mixture, every_spec

N = 60


@pytest.fixture
def X():
    return clouds(N)


POSITIVE = ("weight_concentration_prior", "mean_precision_prior", "degrees_of_freedom_prior")
PRIORS = [0.0, -1.0, np.nan, np.inf, "strong"]

# parameter, value that is refused, what the message says beside both of them
GAUSSIAN = [
    ("covariance_type", "round", "diag"),
    ("covariance_type", None, "full"),
    ("covariance_type", 3, "full"),
    ("reg_covar", -1e-6, r"\[0"),
    ("reg_covar", "small", "float"),
    ("reg_covar", None, "float"),
    ("reg_covar", np.nan, r"\[0"),
]
BOTH = [
    ("random_state", "now", "RandomState"),
    ("random_state", -1, "RandomState"),
]
BAYESIAN = [
    ("inference", "vb", "map"),
    ("inference", None, "mle"),
    *(("mean_precision_prior", value, r"\(0") for value in (0.0, -1.0, np.nan, np.inf)),
    ("degrees_of_freedom_prior", 1.5, "greater than n_features - 1 = 2"),
    ("degrees_of_freedom_prior", 0.0, r"\(0"),
    ("degrees_of_freedom_prior", np.nan, r"\(0"),
    ("degrees_of_freedom_prior", "weak", "float"),
    ("mean_prior", 3.0, "array"),
    ("covariance_prior", "auto", "array"),
    ("covariance_prior", -1.0, r"\(0"),
    ("covariance_prior", np.nan, r"\(0"),
]
MIXTURE = [
    ("n_components", 0, r"\[1"),
    ("n_components", -2, r"\[1"),
    ("n_components", 2.0, "int"),
    ("n_components", "two", "int"),
    ("n_components", None, "int"),
    ("tol", -1.0, r"\[0"),
    ("tol", "fine", "float"),
    ("max_iter", -1, r"\[0"),
    ("max_iter", 1.5, "int"),
    ("n_init", 0, r"\[1"),
    ("n_init", 2.5, "int"),
    ("init_params", "guess", "kmeans"),
    ("init_params", None, "k-means"),
    ("warm_start", "yes", "bool"),
    ("verbose", -1, "int"),
    ("verbose_interval", 0, r"\[1"),
    ("n_jobs", "many", "int"),
    ("weights_init", "even", "array"),
    ("acceleration", "rockets", "squarem"),
]
GAUSSIAN_MIXTURE = [
    ("means_init", 3.0, "array"),
    ("precisions_init", 3.0, "array"),
]
MIXTURE_OF_POSTERIORS = [case for case in MIXTURE if case[0] != "weights_init"]
VARIATIONAL = [
    *((name, value, r"\(0") for name in POSITIVE for value in (0.0, -1.0)),
    *((name, "strong", "float") for name in POSITIVE),
    ("mean_prior", "here", "array"),
    ("covariance_prior", "wide", "array"),
    ("priors", "flat", "empirical"),
    ("priors", None, "fixed"),
    ("weight_concentration_prior_type", "beta", "dirichlet_process"),
]
FACTOR = [
    ("n_components", -1, r"\[0"),
    ("n_components", 0.0, r"\(0"),
    ("n_components", 1.0, r"\(0"),
    ("n_components", 4, "3 features"),
    ("n_components", "all", "mle"),
    ("solver", "arpack", "subspace"),
    ("solver", None, "covariance"),
    ("tol", -1.0, r"\[0"),
    ("max_iter", 0, r"\[1"),
    ("random_state", "now", "RandomState"),
]
COIN = [
    *((name, value, "float") for name in ("alpha", "beta") for value in PRIORS),
    ("inference", "vb", "map"),
    ("inference", None, "mle"),
    ("binarize", np.nan, "float"),
    ("binarize", np.inf, "float"),
    ("binarize", "half", "None"),
]
COIN_MIXTURE = [
    ("alpha", 0.5, "at least 1 with inference='map'"),
    ("beta", 0.999, "at least 1 with inference='map'"),
    ("weight_concentration_prior", 0.9, "at least 1 with inference='map'"),
    ("weight_concentration_prior", 0.0, r"\(0"),
    ("probabilities_init", 3.0, "array"),
]
NEURAL = [
    ("n_components", 0, r"\[1"),
    ("n_components", 2.0, "int"),
    ("likelihood", "poisson", "gaussian_shared"),
    ("hidden_layer_sizes", 64, "array"),
    ("activation", "gelu", "tanh"),
    ("network", "transformer", "conv"),
    ("image_shape", 8, "array"),
    ("encoder", "mlp", "callable"),
    ("decoder", 3, "callable"),
    ("n_importance_samples", 0, r"\[1"),
    ("beta", -1.0, r"\[0"),
    ("learning_rate", 0.0, r"\(0"),
    ("batch_size", 0, r"\[1"),
    ("max_iter", 0, r"\[1"),
    ("early_stopping", "yes", "bool"),
    ("validation_fraction", 1.0, r"\(0"),
    ("n_iter_no_change", 0, r"\[1"),
    ("tol", -1.0, r"\[0"),
    ("n_score_samples", 0, r"\[1"),
    ("binarize", "half", "dynamic"),
    ("binarize", np.nan, "dynamic"),
    ("device", 0, "str"),
    ("precision", "float16", "bf16"),
    ("checkpoint", 3, "PathLike"),
    ("warm_start", "yes", "bool"),
    ("verbose", -1, "int"),
]
KINDS = {
    GaussianMLE: BOTH + GAUSSIAN,
    BayesianGaussian: BOTH + GAUSSIAN + BAYESIAN,
    EMGaussianMixture: BOTH + GAUSSIAN + MIXTURE + GAUSSIAN_MIXTURE,
    VariationalGaussianMixture: BOTH + GAUSSIAN + VARIATIONAL + MIXTURE_OF_POSTERIORS,
    PPCA: FACTOR,
    BetaBernoulli: BOTH + COIN,
    VAEDensity: BOTH + NEURAL,
    BernoulliMixture: BOTH + MIXTURE + COIN + COIN_MIXTURE,
}
CASES = [
    pytest.param(kind, *case, id=f"{kind.__name__}-{case[0]}-{case[1]}")
    for kind, cases in KINDS.items()
    for case in cases
]


@pytest.mark.parametrize(("kind", "name", "value", "allowed"), CASES)
def test_a_bad_parameter_is_named_with_what_is_allowed(kind, name, value, allowed, X):
    with pytest.raises(ValueError, match=f"(?s){name}.*{allowed}") as caught:
        kind(**{name: value}).fit(X)
    assert repr(value) in str(caught.value) or str(value) in str(caught.value)


STARTS = {
    "weights shape": ({"weights_init": [0.5, 0.5]}, r"weights_init must be of shape \(3,\), got"),
    "weights sum": ({"weights_init": [0.5, 0.5, 0.5]}, "weights_init must be .* sum 1.* 1.5"),
    "weights sign": ({"weights_init": [-0.5, 1.0, 0.5]}, "weights_init must be non-negative"),
    "weights nan": ({"weights_init": [np.nan, 1.0, 0.0]}, "weights_init contains NaN"),
    "means shape": ({"means_init": np.zeros((3, 2))}, r"means_init .* \(3, 3\), got \(3, 2\)"),
    "means nan": ({"means_init": np.full((3, 3), np.nan)}, "means_init contains NaN"),
    "precisions shape": (
        {"precisions_init": np.eye(3)},
        r"precisions_init must be of shape \(3, 3, 3\), got \(3, 3\)",
    ),
    "precisions sign": (
        {"precisions_init": -np.stack([np.eye(3)] * 3)},
        r"precisions_init\[0\] is not positive definite",
    ),
    "precisions lopsided": (
        {"precisions_init": np.stack([np.eye(3) + np.eye(3, k=1)] * 3)},
        "precisions_init.*symmetric",
    ),
}


@pytest.mark.parametrize("case", STARTS)
def test_a_bad_start_is_named(case, X):
    params, message = STARTS[case]
    with pytest.raises(ValueError, match=message):
        EMGaussianMixture(3, **params).fit(X)


TABLES = {
    "infinity": (lambda X: np.where(np.arange(len(X))[:, None] == 3, np.inf, X), "infinity"),
    "flat": (lambda X: X[:, 0], "Reshape your data"),
    "cube": (lambda X: X[None], "dim 3"),
    "no rows": (lambda X: X[:0], "0 sample"),
    "no columns": (lambda X: X[:, :0], "0 feature"),
    "words": (
        lambda X: X.astype(str)[:, :2] + "x",
        "could not convert string|bytes/strings",
    ),
    "complex": (lambda X: X + 1j, "[Cc]omplex"),
}
METHODS = ["fit", "score_samples", "score", "transform"]
EXACT_METHODS = [(spec, "bic") for spec in EXACT]
every_method = pytest.mark.parametrize(
    ("spec", "method"), [*product(SPECS, METHODS), *EXACT_METHODS], ids=str
)


@every_method
@pytest.mark.parametrize("table", TABLES)
def test_bad_rows_are_refused_by_every_method(spec, method, table, X):
    change, message = TABLES[table]
    model = spec.new().fit(X)
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(change(X))


@every_spec
def test_rows_of_another_width_are_refused(spec, X):
    model = spec.new().fit(X)
    criteria = [] if spec.neural else ["bic"]
    for method in [*METHODS[1:], *criteria]:
        with pytest.raises(ValueError, match=r"2 features, but .* is expecting 3 features"):
            getattr(model, method)(X[:, :2])


@every_spec
def test_a_table_with_other_names_is_refused(spec, X):
    model = spec.new().fit(pd.DataFrame(X, columns=["a", "b", "c"]))
    with pytest.raises(ValueError, match=r"(?s)feature names.*unseen.*d"):
        model.score(pd.DataFrame(X, columns=["a", "b", "d"]))


@every_spec
def test_an_unknown_parameter_is_refused(spec):
    with pytest.raises(ValueError, match="Invalid parameter 'n_clusters'"):
        spec.new(n_clusters=3)


def test_parameters_are_checked_in_fit_and_stored_untouched():
    strange = object()
    for kind in (GaussianMLE, EMGaussianMixture):
        model = kind(reg_covar=strange, covariance_type=strange)
        assert model.reg_covar is strange
        assert model.covariance_type is strange


def test_more_components_than_rows_are_counted(X):
    with pytest.raises(ValueError, match=r"n_components=61.*n_samples=60.*lower n_components"):
        EMGaussianMixture(61).fit(X)


# -- weights -----------------------------------------------------------------------------------------

# Weights, and what is said of them.
WEIGHTS = {
    "too large": (np.full(N, 1e307), r"sample_weight has a sum above .* 1e\+307: divide"),
    "near the end": (np.full(N, 1e306), r"sample_weight has a sum above .* 1e\+306: divide"),
    "subnormal": (np.full(N, 5e-324), "sample_weight is too small .*: multiply"),
    "NaN": (np.full(N, np.nan), "sample_weight must hold a finite.*NaN"),
    "words": (["heavy"] * N, "sample_weight must hold a finite.*heavy"),
    "None": ([None] * N, "sample_weight must hold a finite"),
    "negative": (-np.ones(N), "sample_weight must hold a finite, non-negative"),
}


@every_exact
@pytest.mark.parametrize("case", WEIGHTS)
def test_bad_weights_are_named_by_every_method(spec, case, X):
    w, message = WEIGHTS[case]
    fitted = spec.new().fit(X)
    calls = [spec.new().fit, fitted.fit, fitted.score]
    calls += [
        getattr(fitted, name) for name in ("partial_fit", "fit_predict") if hasattr(fitted, name)
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call(X, sample_weight=w)
    for name in ("bic", "aic", "icl"):
        if hasattr(fitted, name):
            with pytest.raises(ValueError, match=message):
                getattr(fitted, name)(X, w)


@every_exact
@pytest.mark.parametrize("size", [3e-308, 1e300])
def test_the_smallest_and_the_largest_weights_are_weights(spec, size, X):
    w = np.full(N, size)
    model = spec.new().fit(X, sample_weight=w)
    assert np.isfinite(model.score(X, sample_weight=w))
    np.testing.assert_allclose(model.score(X, sample_weight=w), model.score(X), rtol=1e-12)


# -- entries -----------------------------------------------------------------------------------------

ENTRIES = {
    "a word": ([[1.0, "a"], [2.0, 3.0]], ValueError, r"X holds 'a' in row 0, column 1: encode"),
    "a dict": ([[1.0, 2.0], [{}, 3.0]], TypeError, r"X holds \{\} in row 1, column 0: encode"),
    "a huge integer": (
        [[1, 2], [3, 10**400]],
        ValueError,
        r"X holds 10+\.\.\.0+ in row 1, column 1",
    ),
}


@every_exact
@pytest.mark.parametrize("objects", [list, lambda rows: np.array(rows, dtype=object)])
@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_that_is_no_number_is_shown_with_its_place(spec, entry, objects):
    rows, kind, message = ENTRIES[entry]
    with pytest.raises(kind, match=message):
        spec.new().fit(objects(rows))


@every_exact
def test_the_argument_of_an_inverse_is_explained(spec, X):
    model = spec.new().fit(X)
    if not hasattr(model, "inverse_transform"):
        return
    Z = model.transform(X)
    for bad in (np.full_like(Z, np.nan), np.full_like(Z, np.inf), "Z", Z[0], [["a"] * Z.shape[1]]):
        with pytest.raises(ValueError, match=r"inverse_transform needs Z .* as transform returns"):
            model.inverse_transform(bad)
    with pytest.raises(ValueError, match=r"Z has .* columns, expected .*: inverse_transform needs"):
        model.inverse_transform(np.zeros((2, Z.shape[1] + 1)))


# -- truth values and random states ------------------------------------------------------------------

NUMBERS = {
    "n_components", "n_init", "max_iter", "n_jobs", "verbose_interval", "tol", "reg_covar", "alpha",
    "beta", "weight_concentration_prior", "binarize", "random_state",
}  # fmt: skip


@every_exact
@pytest.mark.parametrize("value", [True, False, np.True_, np.False_], ids=repr)
def test_a_truth_value_is_no_number(spec, value, X):
    for name in NUMBERS & spec.new().get_params().keys():
        with pytest.raises(ValueError, match=f"'{name}' parameter .* Got {value!r}"):
            spec.new(**{name: value}).fit(X)


@every_mixture
def test_no_jobs_are_refused(spec, X):
    with pytest.raises(ValueError, match=r"'n_jobs' parameter .* Got 0"):
        spec.new(n_jobs=0).fit(X)
    assert spec.new(n_jobs=-1).fit(X).converged_


@every_spec
@pytest.mark.parametrize(
    "state", [np.random.default_rng(0), -1, 2**32, 1.5, "now", True], ids=lambda s: repr(s)[:9]
)
def test_what_a_random_state_is_not_is_told_by_sample(spec, state, X):
    model = spec.new().fit(X)
    message = r"'random_state' parameter of sample must be an int .*RandomState.* Got "
    with pytest.raises(ValueError, match=message):
        model.sample(random_state=state)
    with pytest.raises(ValueError, match=message):
        model.set_params(random_state=state).sample()


@pytest.mark.parametrize("given", ["weights", "means", "covariances"])
def test_known_parameters_must_be_given(given):
    known = {"weights": [1.0], "means": [[0.0]], "covariances": [[[1.0]]]}
    with pytest.raises(ValueError, match=f"{given} must be .*(None|\\(\\))"):
        EMGaussianMixture.from_parameters(**known | {given: None})
