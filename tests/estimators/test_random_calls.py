"""Whatever an estimator is given, it answers with numbers or says in its own words what is wrong."""

import warnings
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError

from sklearn_lvm import (
    PPCA,
    BayesianGaussian,
    BernoulliMixture,
    BetaBernoulli,
    CovarianceWarning,
    EMGaussianMixture,
    GaussianMLE,
    VAEDensity,
)

from .specs import NEURAL, same_state

D = 3
OURS = {"sklearn_lvm", "sklearn"}
CONVERSIONS = {"numpy", "scipy", "pandas", "polars"}  # whose functions validation calls

# -- what is given -------------------------------------------------------------------------------------


def _plain(rng, n):
    return rng.normal(size=(n, D)) @ rng.normal(size=(D, D)) + rng.integers(0, 3, (n, 1))


def _with(value):
    """A table in which an entry, if there is one, is something else."""

    def table(rng, n):
        X = _plain(rng, n)
        X[: rng.integers(0, 3), rng.integers(D)] = value
        return X

    return table


def _objects(*values):
    def table(rng, n):
        X = _plain(rng, n).astype(object)
        X[:1, 0] = values[rng.integers(len(values))]
        return X

    return table


def _changed(change):
    return lambda rng, n: change(_plain(rng, n))


def _sparse(kind):
    def table(rng, n):
        X = _plain(rng, n)
        return kind(np.where(rng.uniform(size=X.shape) < 0.5, X, 0.0))

    return table


def _read_only(X):
    X.flags.writeable = False
    return X


TABLES = {
    "float": _plain,
    "float32": _changed(lambda X: X.astype(np.float32)),
    "float16": _changed(lambda X: X.astype(np.float16)),
    "longdouble": _changed(lambda X: X.astype(np.longdouble)),
    "complex": _changed(lambda X: X + 1j),
    "int": _changed(lambda X: X.astype(int)),
    "uint8": _changed(lambda X: np.abs(X).astype(np.uint8)),
    "bool": _changed(lambda X: X > 0),
    "objects that are numbers": _changed(lambda X: X.astype(object)),
    "objects": _objects("a", None, {}, 10**400, set(), np.nan, "1.5", b"x", 1j),
    "strings": _changed(lambda X: X.astype(str)),
    "words": _changed(lambda X: np.full(X.shape, "word")),
    "dates": _changed(lambda X: X.astype("datetime64[s]")),
    "NaN": _with(np.nan),
    "all NaN": _changed(lambda X: np.full(X.shape, np.nan)),
    "inf": _with(np.inf),
    "-inf": _with(-np.inf),
    "an outlier": _with(1e200),
    "a far outlier": _with(-1.7e308),
    "a subnormal": _with(5e-324),
    "constant": _changed(lambda X: np.full(X.shape, 7.3)),
    "zeros": _changed(np.zeros_like),
    "a constant column": _changed(lambda X: np.where(np.arange(D) == 1, 4.0, X)),
    "copies": _changed(lambda X: np.repeat(X[:2], max(len(X) // 2, 1), axis=0)),
    "huge": _changed(lambda X: X * 1e200),
    "the largest": _changed(lambda X: np.sign(X) * 1.7e308),
    "tiny": _changed(lambda X: X * 1e-200),
    "subnormal": _changed(lambda X: X * 1e-310),
    "units": _changed(lambda X: X * [1e-150, 1.0, 1e150]),
    "offset": _changed(lambda X: X + 1e12),
    "one column": _changed(lambda X: X[:, :1]),
    "more columns": _changed(lambda X: np.hstack([X, X])),
    "no columns": _changed(lambda X: X[:, :0]),
    "1-d": _changed(lambda X: X[:, 0]),
    "3-d": _changed(lambda X: X[None]),
    "scalar": lambda rng, n: 3.0,
    "None": lambda rng, n: None,
    "a word": lambda rng, n: "table",
    "ragged": lambda rng, n: [[1.0, 2.0, 3.0], [1.0]],
    "list": _changed(lambda X: X.tolist()),
    "list of objects": lambda rng, n: _objects("a", None, 10**400, 1.0)(rng, n).tolist(),
    "csr": _sparse(sparse.csr_array),
    "csc": _sparse(sparse.csc_array),
    "coo": _sparse(sparse.coo_matrix),
    "sparse with NaN": lambda rng, n: sparse.csr_array(_with(np.nan)(rng, n)),
    "pandas": _changed(lambda X: pd.DataFrame(X, columns=list("abc"))),
    "pandas with objects": lambda rng, n: pd.DataFrame(_objects("a", None, pd.NA)(rng, n)),
    "polars": _changed(lambda X: pl.DataFrame(X, schema=list("abc"))),
    "read only": _changed(_read_only),
    "Fortran": _changed(np.asfortranarray),
    "every second row": _changed(lambda X: np.repeat(X, 2, axis=0)[::2]),
    "backwards": _changed(lambda X: X[::-1, ::-1]),
}


def _one_other(value):
    def weights(rng, n):
        w = rng.uniform(0.5, 2.0, n)
        w[:1] = value
        return w

    return weights


WEIGHTS = {
    "none": lambda rng, n: None,
    "numbers": lambda rng, n: rng.uniform(0.2, 2.0, n),
    "integers": lambda rng, n: rng.integers(0, 4, n),
    "bools": lambda rng, n: rng.uniform(size=n) < 0.6,
    "list": lambda rng, n: rng.uniform(0.2, 2.0, n).tolist(),
    "zeros": lambda rng, n: np.zeros(n),
    "one": lambda rng, n: np.eye(max(n, 1))[0, :n],
    "negative": _one_other(-1.0),
    "NaN": _one_other(np.nan),
    "inf": _one_other(np.inf),
    "one huge": _one_other(1e280),
    "huge": lambda rng, n: np.full(n, 1e280),
    "too large": lambda rng, n: np.full(n, 1e307),
    "small": lambda rng, n: np.full(n, 1e-300),
    "subnormal": lambda rng, n: np.full(n, 5e-324),
    "too short": lambda rng, n: np.ones(max(n - 1, 0)),
    "2-d": lambda rng, n: np.ones((n, 2)),
    "words": lambda rng, n: ["w"] * n,
    "None inside": lambda rng, n: [None] * n,
    "a number": lambda rng, n: 2.0,
}

# Values of parameters, legal and not; those of any name are tried with every parameter.
HUGE = 10**30
ANY = [None, True, False, 0, -1, 1.5, "x", np.nan, np.inf, [], {}, object(), HUGE, 1j, np.ones(2)]
VALUES = {
    "n_components": [1, 2, 3, 5, 100, 0.5, "mle", "bic", np.int64(2)],
    "covariance_type": ["full", "tied", "diag", "spherical", "factor", "ppca"],
    "n_factors": ["auto", 0, 1, 2, 5],
    "reg_covar": [0.0, 1e-6, 0.1, 1e300],
    "solver": ["auto", "covariance", "svd", "subspace", "em"],
    "tol": [0.0, 1e-3, 1e300],
    "max_iter": [0, 1, 2, 20],
    "n_init": [1, 2],
    "acceleration": ["auto", "squarem"],
    "init_params": ["auto", "kmeans", "k-means++", "random", "random_from_data"],
    "weights_init": [[0.5, 0.5], [1.0, 0.0], [[1.0]], "half"],
    "means_init": [np.zeros((2, D)), np.eye(2, D) * 1e200, np.full((2, D), np.nan)],
    "precisions_init": [np.stack([np.eye(D)] * 2), np.ones(2), np.zeros((2, D, D))],
    "probabilities_init": [np.full((2, D), 0.5), np.zeros((2, D)), np.full((2, D), 2.0)],
    "alpha": [1.0, 1.5, 1e300, 1e-300, np.ones(D), np.zeros(D), ["a"] * D],
    "beta": [1.0, 1.5, 1e300, 1e-300, np.full(D, 2.0), np.full(D, np.nan)],
    "weight_concentration_prior": [1.0, 2.0, 1e300],
    "inference": ["bayes", "map", "mle"],
    "mean_prior": [np.zeros(D), np.full(D, 1e200), np.full(D, np.nan), np.zeros((D, 1))],
    "mean_precision_prior": [1e-300, 1e-6, 1.0, 1e6, 1e300],
    "degrees_of_freedom_prior": [2.0, 2.0 + 1e-12, D, 100.0, 1e300],
    "covariance_prior": [np.eye(D), -np.eye(D), np.ones(D), 2.0, 1e-300 * np.eye(D), "auto"],
    "binarize": [0.0, 0.5, -1.0, 1e300],
    "random_state": [0, np.random.RandomState(0), np.random.default_rng(0)],
    "n_jobs": [1, 2],
    "warm_start": [True],
    "verbose_interval": [1, 7],
    "hidden_layer_sizes": [(), (4,)],
    "likelihood": ["gaussian", "gaussian_shared", "gaussian_isotropic", "bernoulli"],
    "batch_size": [1, 10],
}
LEFT_ALONE = {"verbose", "encoder", "decoder", "checkpoint", "compile", "device"}

EXACT_KINDS = {
    GaussianMLE: {},
    BayesianGaussian: {"random_state": 0},
    EMGaussianMixture: {"n_components": 2, "max_iter": 30, "random_state": 0},
    PPCA: {"n_components": 1, "random_state": 0},
    BetaBernoulli: {"random_state": 0},
    BernoulliMixture: {"n_components": 2, "max_iter": 30, "random_state": 0},
}
NEURAL_KINDS = {VAEDensity: {"max_iter": 2, "hidden_layer_sizes": (4,), "random_state": 0}}
BINARY = (BetaBernoulli, BernoulliMixture)
OF_POSTERIORS = ("credible_interval", "credible_region", "sample_posterior")


# -- what is asked -------------------------------------------------------------------------------------


def _rows(name):
    return lambda model, X, w, rng: getattr(model, name)(X)


def _weighted(name):
    return lambda model, X, w, rng: getattr(model, name)(X, sample_weight=w)


def _one_of(rng, values):
    return values[rng.integers(len(values))]


def _sample(model, X, w, rng):
    n, state = _one_of(rng, [1, 5, *ANY[:-1]]), _one_of(rng, [None, 0, *ANY])
    return model.sample(n, random_state=state, return_latent=bool(rng.integers(2)))


def _interval(model, X, w, rng):
    return model.credible_interval(_one_of(rng, [0.5, 0.95, *ANY[:-1]]))


def _region(model, X, w, rng):
    return model.credible_region(_one_of(rng, [0.5, 0.95, *ANY[:-1]]))


def _draws(model, X, w, rng):
    n, state = _one_of(rng, [1, 5, *ANY[:-1]]), _one_of(rng, [None, 0, *ANY])
    return model.sample_posterior(n, random_state=state)


def _known(model, X, w, rng):
    names = ("weights_init", "means_init", "precisions_init", "covariance_type")
    weights, means, covariances, kind = (_one_of(rng, VALUES[name] + ANY[:8]) for name in names)
    kind = kind if isinstance(kind, str) else "full"
    made = type(model).from_parameters(weights, means, covariances, covariance_type=kind)
    return made.score_samples(np.zeros((2, D)))


def _impute(model, X, w, rng):
    some = [value for value in ANY if value is not HUGE]  # which might be obeyed
    options = {"n_draws": [1, 2, *some], "mode": [True, *ANY], "parameter_draws": [True, *ANY]}
    chosen = {name: _one_of(rng, values) for name, values in options.items() if rng.uniform() < 0.3}
    return model.impute(X, **chosen)


FITS = ("fit", "partial_fit")
CALLS = {
    "fit": _weighted("fit"),
    "partial_fit": _weighted("partial_fit"),
    "fit_predict": _weighted("fit_predict"),
    "fit_transform": _rows("fit_transform"),
    "score_samples": _rows("score_samples"),
    "score": _weighted("score"),
    "bic": _weighted("bic"),
    "aic": _weighted("aic"),
    "icl": _weighted("icl"),
    "transform": _rows("transform"),
    "inverse_transform": _rows("inverse_transform"),
    "predict": _rows("predict"),
    "predict_proba": _rows("predict_proba"),
    "impute": _impute,
    "sample": _sample,
    "credible_interval": _interval,
    "credible_region": _region,
    "sample_posterior": _draws,
    "from_parameters": _known,
    "get_covariance": lambda model, X, w, rng: model.get_covariance(),
    "get_precision": lambda model, X, w, rng: model.get_precision(),
    "get_feature_names_out": lambda model, X, w, rng: model.get_feature_names_out(),
}


# -- what is answered ----------------------------------------------------------------------------------


@contextmanager
def warnings_of_our_own():
    """Any other warning is an error: NumPy's, above all."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", CovarianceWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DataConversionWarning)
        warnings.filterwarnings("ignore", "X (does not have valid|has) feature names", UserWarning)
        warnings.filterwarnings("ignore", "n_factors=.* is more than", UserWarning)
        yield


def packages(error):
    """The packages of the frames that an error came through, the innermost first."""
    frames, step = [], error.__traceback__
    while step:
        frames.append(step.tb_frame.f_globals["__name__"].partition(".")[0])
        step = step.tb_next
    return frames[::-1]


def told_by_us(error):
    """Whether this package or scikit-learn's validation has found the fault."""
    inside = packages(error)
    while inside[0] in CONVERSIONS:
        inside.pop(0)
    return inside[0] in OURS


def numbers(answer):
    """All arrays of numbers in an answer."""
    parts = answer if isinstance(answer, tuple) else (answer,)
    arrays = [np.asarray(part) for part in parts if not hasattr(part, "get_params")]
    return [array for array in arrays if array.dtype.kind in "fiu"]


def is_legal(kind, name, array):
    """Finite; but a row may be impossible, and a score, criterion or mean beyond all numbers."""
    if name in ("bic", "aic", "icl"):
        return bool(np.all(array > -np.inf))
    if name in ("score_samples", "score") or (issubclass(kind, BINARY) and name == "transform"):
        return bool(np.all(array < np.inf))
    if name in ("get_covariance", "get_precision", "inverse_transform", *OF_POSTERIORS):
        return not np.isnan(array).any()  # squares of extreme units are no floating point numbers
    return bool(np.isfinite(array).all())


@cache
def fitted(kind):
    X = _plain(np.random.default_rng(0), 40)
    return kind(**(EXACT_KINDS | NEURAL_KINDS)[kind]).fit(X), X


def random_parameters(model, rng):
    names = sorted(model.get_params().keys() - LEFT_ALONE)
    chosen = {}
    for i in rng.permutation(len(names))[: rng.integers(0, 4)]:
        name = names[i]
        legal = VALUES.get(name, [])
        chosen[name] = _one_of(rng, legal if legal and rng.uniform() < 0.7 else ANY)
    if isinstance(model, VAEDensity) or chosen.get("max_iter") is HUGE:
        chosen.pop("max_iter", None)  # else it may be obeyed
    return chosen


def call(seed, kinds):
    """Make one call, and check its answer."""
    rng = np.random.default_rng(seed)
    kind = _one_of(rng, list(kinds))
    model, good = deepcopy(fitted(kind)) if rng.uniform() < 0.7 else (kind(**kinds[kind]), None)
    model.set_params(**(params := random_parameters(model, rng)))
    names = [name for name in CALLS if hasattr(model, name)]
    name = _one_of(rng, [*FITS, *names]) if hasattr(model, "partial_fit") else _one_of(rng, names)
    table, weight = _one_of(rng, list(TABLES)), _one_of(rng, list(WEIGHTS))
    n = int(_one_of(rng, [0, 1, 2, 3, 30, 30, 30]))
    X, w = TABLES[table](rng, n), WEIGHTS[weight](rng, n)
    told = f"seed {seed}: {kind.__name__}({params}).{name} of {table!r}, n={n}, weights {weight!r}"
    before = deepcopy(learned(model))
    with warnings_of_our_own():
        name, answer, error = attempt(model, name, X, w, rng)
    if error is None:
        for array in numbers(answer):
            assert is_legal(kind, name, array), f"{told}: {array}"
        return
    if not (is_told(error) and told_by_us(error)):
        raise AssertionError(f"{told}: {packages(error)[0]} says {error!r}") from error
    if name != "score_samples":  # which may follow a fit that did not fail
        check_unchanged(model, before, good, told)


def attempt(model, name, X, w, rng):
    """The method that came last, what it returned, and what it raised."""
    try:
        answer = CALLS[name](model, X, w, rng)
        if name in FITS:
            name = "score_samples"
            answer = model.score_samples(X)
    except Exception as error:
        return name, None, error
    return name, answer, None


def is_told(error):
    """Whether an error is of a kind that tells users of a fault of theirs."""
    if isinstance(error, AttributeError) and not isinstance(error, NotFittedError):
        return "no posterior" in str(error)
    return isinstance(error, ValueError | TypeError)


def learned(model):
    """What a fit has set; parameters belong to the user."""
    given = model.get_params()
    return SimpleNamespace(**{key: value for key, value in vars(model).items() if key not in given})


def check_unchanged(model, before, good, told):
    """A failed call leaves what was fitted."""
    assert same_state(learned(model), before), told
    if good is not None:
        known, _ = fitted(type(model))
        model.set_params(**known.get_params())
        np.testing.assert_array_equal(model.score_samples(good), known.score_samples(good), told)


@pytest.mark.parametrize("part", range(8))
def test_random_calls_are_answered(part):
    for seed in range(100 * part, 100 * part + 100):
        call(seed, EXACT_KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(30))
def test_many_random_calls_are_answered(part):
    for seed in range(10_000 + 1000 * part, 11_000 + 1000 * part):
        call(seed, EXACT_KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10 if NEURAL else 0))
def test_many_random_calls_of_networks_are_answered(part):
    for seed in range(1000 * part, 1000 * part + 1000):
        call(seed, NEURAL_KINDS)
