"""Bad input gets an error that names the argument, what was given and what is allowed."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from sklearn_lvm import (
    PPCA,
    BernoulliMixture,
    BetaBernoulli,
    EMGaussianMixture,
    GaussianMLE,
    VAEDensity,
)

from .specs import EXACT, SPECS, clouds, every_spec

N = 60


@pytest.fixture
def X():
    return clouds(N)


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
FACTOR = [
    ("n_components", 0, r"\[1"),
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
    ("alpha", 0.5, r"\[1"),
    ("beta", 0.999, r"\[1"),
    ("weight_concentration_prior", 0.9, r"\[1"),
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
    EMGaussianMixture: BOTH + GAUSSIAN + MIXTURE + GAUSSIAN_MIXTURE,
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
    "hole": (lambda X: np.where(np.arange(len(X))[:, None] == 3, np.nan, X), "NaN"),
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
    if spec.missing and table == "hole":
        return  # not observed
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
