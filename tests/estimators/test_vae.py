"""VAEDensity: its bound, missing entries, parameters, continued fits, pickles and callbacks."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm import PPCA, GaussianMLE, VAEDensity  # noqa: E402
from sklearn_lvm.neural.density import NeuralDensity  # noqa: E402

from .recorder import Recorder  # noqa: E402
from .specs import clouds, every_neural, same_state, weights  # noqa: E402

N = 150
SMALL = {"hidden_layer_sizes": (6,), "random_state": 0, "max_iter": 5}
needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="there is no CUDA device on this machine"
)


@pytest.fixture
def X():
    return clouds(N)


def plane(n, seed=0):
    """Rows near a plane in five dimensions, and their covariance."""
    W = np.random.default_rng(7).normal(size=(5, 2)) * 1.5
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2)) @ W.T + 0.5 * rng.normal(size=(n, 5)) + 3.0
    return X, W @ W.T + 0.25 * np.eye(5)


# -- the fitted density ------------------------------------------------------------------------------


def test_linear_networks_reach_the_likelihood_of_ppca():
    X, _ = plane(400)
    exact = PPCA(2).fit(X)
    model = VAEDensity(
        2,
        likelihood="gaussian_isotropic",
        hidden_layer_sizes=(),
        early_stopping=False,
        learning_rate=0.01,
        batch_size=400,
        max_iter=3000,
        n_iter_no_change=300,
        tol=1e-4,
        random_state=0,
    ).fit(X)
    assert abs(model.score(X) - exact.score(X)) < 0.01
    assert abs(model.elbo(X, 100_000).mean() - exact.score(X)) < 0.01
    assert_allclose(model.noise_variance_, exact.noise_variance_, rtol=0.05)


def test_the_bound_is_close_to_a_known_density_and_not_above():
    (X, C), (rows, _) = plane(2000), plane(4000, seed=1)
    model = VAEDensity(random_state=0, learning_rate=0.005, max_iter=60).fit(X)
    truth = multivariate_normal(np.full(5, 3.0), C).logpdf(rows).mean()
    found = [model.log_evidence(rows, random_state=seed)[0].mean() for seed in range(6)]
    assert truth - 0.3 < np.mean(found) < truth + 3 * np.std(found, ddof=1) / np.sqrt(6)


@pytest.mark.parametrize("load", [load_breast_cancer, load_diabetes])
def test_defaults_are_no_worse_than_one_gaussian(load):
    X = load().data
    train, rest = X[::2], X[1::2]
    assert VAEDensity(random_state=0).fit(train).score(rest) > GaussianMLE().fit(train).score(rest)


@pytest.mark.parametrize(("d", "q"), [(1, 2), (3, 2), (8, 4), (9, 4), (101, 50), (120, 50)])
def test_the_default_number_of_latent_variables_is_half_the_columns(d, q):
    X = np.random.default_rng(0).normal(size=(20, d))
    model = VAEDensity(hidden_layer_sizes=(3,), max_iter=1, random_state=0).fit(X)
    assert model.n_components_ == model.transform(X).shape[1] == q


@pytest.mark.parametrize("criterion", ["bic", "aic"])
def test_a_bound_has_no_information_criteria(criterion):
    assert not hasattr(VAEDensity(), criterion)
    assert hasattr(PPCA(), criterion)


def ring(n, seed):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.stack([np.cos(angle), np.sin(angle)], 1) + 0.1 * rng.normal(size=(n, 2))


@pytest.fixture(scope="module")
def of_a_ring():
    params = {"random_state": 0, "max_iter": 60, "n_importance_samples": 5}
    return VAEDensity(**params).fit(ring(1000, 0)), VAEDensity(1, **params).fit(
        ring(1000, 0)[:, :1]
    )


@pytest.mark.parametrize("d", [1, 2])
def test_the_density_integrates_to_one(d, of_a_ring):
    """But for Monte Carlo errors, which rows share, and the bias of a bound."""
    model = of_a_ring[2 - d]
    axis, step = np.linspace(-3, 3, 61, retstep=True)
    grid = np.stack(np.meshgrid(*[axis] * d), axis=-1).reshape(-1, d)
    seeds = range(5)
    parts = [model.log_evidence(grid, 100, random_state=seed) for seed in seeds]
    volumes = [np.exp(bound).sum() * step**d for bound, _ in parts]
    error = np.std(volumes, ddof=1) / np.sqrt(len(volumes))
    # E exp(log-mean-exp) = p(x): the estimate itself is not biased.
    assert abs(np.mean(volumes) - 1.0) < 3 * error + 0.003
    assert error < 0.03


def test_the_middle_of_a_ring_is_empty(of_a_ring):
    on, inside = of_a_ring[0].score_samples([[1.0, 0.0], [0.0, 0.0]])
    assert on > inside + 2


@pytest.mark.parametrize("likelihood", ["gaussian", "gaussian_shared", "gaussian_isotropic"])
def test_the_score_falls_without_end_as_a_row_moves_away(likelihood, X):
    model = VAEDensity(**SMALL, likelihood=likelihood).fit(X)
    direction = model.scale_ * np.array([1.0, -1.0, 1.0])
    far = np.geomspace(1e3, 1e100, 40)
    scores = model.score_samples(model.mean_ + far[:, None] * direction)
    assert (np.diff(scores) < 0).all()
    # A Gaussian falls by the square of the distance.
    assert_allclose(scores[1:] / scores[:-1], (far[1:] / far[:-1]) ** 2, rtol=0.1)


def test_the_encoder_clips_entries_and_the_density_does_not(X):
    model = VAEDensity(**SMALL).fit(X)
    near, far = (model.mean_ + distance * model.scale_ for distance in (11.0, 1e6))
    assert_array_equal(model.transform([near]), model.transform([far]))
    inside = model.mean_ + 9.0 * model.scale_
    assert not np.array_equal(model.transform([near]), model.transform([inside]))
    assert model.score([far]) < 1e6 * model.score([near])


# -- rows --------------------------------------------------------------------------------------------


@every_neural
def test_results_of_a_row_do_not_depend_on_other_rows(spec, X):
    model, order = spec.new().fit(X), np.random.default_rng(0).permutation(N)
    for method in ("score_samples", "transform", "elbo", "impute", "reconstruct"):
        whole = getattr(model, method)(X)
        assert_array_equal(getattr(model, method)(X), whole)
        assert_allclose(getattr(model, method)(X[order]), whole[order], rtol=1e-11, atol=1e-11)
        alone = np.concatenate([getattr(model, method)(X[i : i + 1]) for i in range(5)])
        assert_allclose(alone, whole[:5], rtol=1e-11, atol=1e-11)


@every_neural
def test_the_evidence_with_the_noise_of_scores_is_the_score(spec, X):
    model = spec.new().fit(X)
    bound, error = model.log_evidence(X)
    assert_array_equal(bound, model.score_samples(X))
    assert (error > 0).all()
    assert not np.array_equal(bound, model.log_evidence(X, random_state=1)[0])
    assert (model.elbo(X, 2000) < model.log_evidence(X, 2000)[0] + 0.2).all()


@every_neural
def test_missing_entries_in_every_method(spec, X):
    X[np.random.default_rng(0).random(X.shape) < 0.3] = np.nan
    X[0] = np.nan
    model = spec.new().fit(X)
    for method in ("score_samples", "elbo"):
        found = getattr(model, method)(X)
        assert found[0] == 0.0
        assert np.isfinite(found).all()
    assert model.log_evidence(X)[1][0] == 0.0
    assert np.isfinite(model.transform(X)).all()
    assert_array_equal(model.transform(X)[0], 0.0)
    filled = model.impute(X)
    assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
    assert np.isfinite(filled).all()
    assert_array_equal(model.impute(filled), filled)
    assert np.isfinite(model.reconstruct(X)).all()


@every_neural
def test_weights_and_order_of_incomplete_rows(spec, X):
    X[np.random.default_rng(0).random(X.shape) < 0.3] = np.nan
    times, order = (
        np.random.default_rng(1).integers(0, 3, N),
        np.random.default_rng(2).permutation(N),
    )
    plain = spec.new().fit(X, sample_weight=times)
    for other in (
        spec.new().fit(np.repeat(X, times, axis=0)),
        spec.new().fit(X[order], sample_weight=times[order]),
    ):
        assert_allclose(other.score_samples(X), plain.score_samples(X), rtol=1e-10)


def test_scores_of_incomplete_rows_are_in_the_units_of_observed_entries(X):
    X[::3, 1] = np.nan
    factors = np.array([1e-3, 7.0, 1e5])
    plain, scaled = VAEDensity(**SMALL).fit(X), VAEDensity(**SMALL).fit(X * factors)
    jacobian = (~np.isnan(X)) @ np.log(factors)
    found = scaled.score_samples(X * factors) + jacobian
    assert_allclose(found, plain.score_samples(X), rtol=1e-9)
    assert_allclose(scaled.impute(X * factors) / factors, plain.impute(X), rtol=1e-9)


def test_the_layer_for_missing_entries_is_trained_on_complete_rows():
    """With little noise one column determines the others; the encoder needs the mask to infer them."""
    X, _ = plane(1000)
    model = VAEDensity(random_state=0, learning_rate=0.01, max_iter=40).fit(X)
    before = model._density.weights
    assert abs(before["encoder.missing_layer.weight"]).max() > 0.01
    zeroed = before | {"encoder.missing_layer.weight": 0 * before["encoder.missing_layer.weight"]}
    untrained = clone(model).fit(X[:50])
    vars(untrained).update(vars(model))
    untrained._density = NeuralDensity(model._density.architecture, zeroed, "cpu")
    X[:, :2] = np.nan
    assert model.elbo(X).mean() > untrained.elbo(X).mean() + 0.3
    assert model.log_evidence(X)[1].mean() < untrained.log_evidence(X)[1].mean()


# -- parameters --------------------------------------------------------------------------------------


BAD = {
    "no sizes": ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must be .* at least 1"),
    "half sizes": ({"hidden_layer_sizes": (2.5,)}, r"hidden_layer_sizes must be .*\(2.5,\)"),
    "no image": ({"network": "conv"}, "image_shape.*product of 3.*None"),
    "other image": ({"network": "conv", "image_shape": (2, 2)}, r"product of 3.*\(2, 2\)"),
    "no stage": (
        {"network": "conv", "image_shape": (1, 3), "hidden_layer_sizes": ()},
        "hidden_layer_sizes with at least one stage",
    ),
    "not binary": ({"likelihood": "bernoulli"}, "nothing but 0, 1 and NaN.*row 0, column 0"),
    "no probabilities": (
        {"likelihood": "bernoulli", "binarize": "dynamic"},
        r"gray levels in \[0, 1\]",
    ),
    "binarized Gaussian": ({"binarize": 0.0}, "binarize=0.0 is for likelihood='bernoulli'"),
    "a true size": ({"hidden_layer_sizes": (3, True)}, r"hidden_layer_sizes must be .*\(3, True\)"),
    "sizes of sizes": (
        {"hidden_layer_sizes": [[1, 2], [3]]},
        r"hidden_layer_sizes .*\[1, 2\], \[3\]",
    ),
    "sizes by name": ({"hidden_layer_sizes": ("a",)}, r"hidden_layer_sizes must be .*\('a',\)"),
    "letters": ({"hidden_layer_sizes": "abc"}, "'hidden_layer_sizes'.*an array-like. Got 'abc'"),
    "half sides": (
        {"network": "conv", "image_shape": (1.0, 3)},
        r"image_shape must be .*\(1.0, 3\)",
    ),
    "no device": ({"device": "abacus"}, "device='abacus'"),
    "a device without numbers": ({"device": "meta"}, "device='meta' cannot compute"),
    "a numbered device": ({"device": 3}, "'device'.*an instance of 'str'. Got 3"),
    "a numbered file": ({"checkpoint": 5}, "'checkpoint'.*'os.PathLike' or None. Got 5"),
}
NUMBERS = ["beta", "learning_rate", "tol", "validation_fraction", "binarize"]
INTEGERS = ["n_components", "batch_size", "max_iter", "n_score_samples", "n_importance_samples"]


@pytest.mark.parametrize("case", BAD)
def test_messages_name_unsuitable_parameters(case, X):
    params, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        VAEDensity(**SMALL | params).fit(X)


@pytest.mark.parametrize("name", [*NUMBERS, *INTEGERS, "n_iter_no_change"])
def test_truth_is_no_number(name, X):
    for method in ("fit", "partial_fit"):
        model = VAEDensity(**SMALL | {name: True})
        with pytest.raises(ValueError, match=f"'{name}' .* Got True instead"):
            getattr(model, method)(X)
        assert vars(model).keys() == model.get_params().keys()


@pytest.mark.parametrize("method", ["fit", "partial_fit", "score"])
def test_weights_whose_sum_overflows_are_refused(method, X):
    model = VAEDensity(**SMALL).fit(X) if method == "score" else VAEDensity(**SMALL)
    with pytest.raises(ValueError, match=r"sample_weight has a sum above.*1e\+308: divide"):
        getattr(model, method)(X, sample_weight=np.full(N, 1e308))
    large = VAEDensity(**SMALL).fit(X, sample_weight=np.full(N, 2.0**990))
    assert same_state(large, VAEDensity(**SMALL).fit(X, sample_weight=np.full(N, 2.0)))


def test_the_message_names_a_column_without_entries(X):
    X[:, 1] = np.nan
    with pytest.raises(ValueError, match="no observed entry in column 1"):
        VAEDensity(**SMALL).fit(X)


@pytest.mark.parametrize("n_samples", [0, -1, 2.0, True, "3"])
def test_the_number_of_importance_samples_is_checked(n_samples, X):
    model = VAEDensity(**SMALL).fit(X)
    for method in ("log_evidence", "elbo", "impute"):
        with pytest.raises(ValueError, match="n_samples must be an integer"):
            getattr(model, method)(X, n_samples=n_samples)


def test_latent_variables_of_another_width_are_refused(X):
    with pytest.raises(ValueError, match="T has 3 columns, expected 2"):
        VAEDensity(**SMALL).fit(X).inverse_transform(X)


def test_probabilities_are_drawn_in_fits_and_rounded_in_scores():
    levels = np.random.default_rng(0).uniform(size=(80, 5))
    params = SMALL | {"likelihood": "bernoulli"}
    model = VAEDensity(**params, binarize="dynamic").fit(levels)
    assert_array_equal(
        model.score_samples(levels), model.score_samples((levels > 0.5).astype(float))
    )
    assert set(np.unique(model.sample(50))) == {0.0, 1.0}
    once = VAEDensity(**params, binarize=0.5).fit(levels)
    assert not np.array_equal(model.score_samples(levels), once.score_samples(levels))


def linear(n_inputs, n_outputs):
    return torch.nn.Linear(n_inputs, n_outputs)


def test_custom_networks(X, tmp_path):
    model = VAEDensity(**SMALL, encoder=linear, decoder=linear).fit(X)
    assert model.n_parameters_ == (2 + 1) * 6
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.score_samples(X), model.score_samples(X))
    X[0, 0] = np.nan
    assert np.isfinite(model.score_samples(X)).all()


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"hidden_layer_sizes": (4,)}, (2 + 1) * 4 + (4 + 1) * 6),
        ({"hidden_layer_sizes": (), "likelihood": "gaussian_shared"}, (2 + 1) * 3 + 3),
        ({"hidden_layer_sizes": (), "likelihood": "gaussian_isotropic"}, (2 + 1) * 3 + 1),
    ],
)
def test_the_parameters_of_the_density_are_those_of_the_decoder(params, expected, X):
    assert VAEDensity(**SMALL | params).fit(X).n_parameters_ == expected


# -- continued fits ----------------------------------------------------------------------------------


def test_a_warm_start_keeps_the_standardization(X):
    model = VAEDensity(**SMALL, warm_start=True).fit(X)
    mean, before = model.mean_.copy(), model.history_["validation_bound"]
    assert model.fit(X).history_["validation_bound"][0] > before[0] + 0.05
    assert_array_equal(model.fit(X[:100]).mean_, mean)
    with pytest.raises(ValueError, match=r"n_components=3 differs from 2"):
        model.set_params(n_components=3).fit(X)


def test_partial_fit_is_one_epoch_with_the_standardization_of_the_first_rows(X):
    model = VAEDensity(**SMALL | {"learning_rate": 0.01}).partial_fit(X[:100])
    mean, first = model.mean_.copy(), model.score(X)
    for n in range(2, 12):
        model.partial_fit(X[50:])
        assert model.n_iter_ == n
    assert_array_equal(model.mean_, mean)
    assert model.score(X) > first + 0.1
    model.partial_fit(X[:1], sample_weight=[2.0])
    with pytest.raises(ValueError, match="3 features"):
        model.partial_fit(X[:, :2])


def test_partial_fit_continues_after_pickling(X):
    model = VAEDensity(**SMALL).partial_fit(X)
    again = pickle.loads(pickle.dumps(model))
    assert same_state(again.partial_fit(X), model.partial_fit(X))


def test_partial_fit_continues_a_fit_and_fit_starts_anew(X):
    model = VAEDensity(**SMALL).fit(X)
    before = model.score(X)
    model.partial_fit(X)
    assert model.score(X) > before - 0.2
    assert same_state(model.fit(X), VAEDensity(**SMALL).fit(X))


# -- pickles -----------------------------------------------------------------------------------------


def inside(value):
    """Every object that an object holds."""
    yield value
    if isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    else:
        state = getattr(value, "__getstate__", dict)() if hasattr(value, "__dict__") else {}
        parts = (state or {}).values() if isinstance(state, dict) else ()
    for part in parts:
        if not isinstance(part, type):
            yield from inside(part)


def test_pickles_hold_no_torch(X):
    for model in (VAEDensity(**SMALL).fit(X), VAEDensity(**SMALL).partial_fit(X)):
        found = list(inside(model.__getstate__()))
        assert sum(isinstance(part, np.ndarray) for part in found) > 5
        assert not [part for part in found if type(part).__module__.startswith("torch")]
        assert b"torch" not in pickle.dumps(model)


def test_arrays_may_be_read_only(X, tmp_path):
    import joblib

    model = VAEDensity(**SMALL).fit(X)
    joblib.dump(model, tmp_path / "model")
    again = joblib.load(tmp_path / "model", mmap_mode="r")
    assert not again._density.weights["decoder.0.weight"].flags.writeable
    assert_array_equal(again.score_samples(X), model.score_samples(X))


def test_a_model_is_unpickled_on_the_cpu_if_its_device_is_missing(X):
    model = VAEDensity(**SMALL).fit(X)
    state = model._density.__getstate__() | {"device": "cuda:7"}
    elsewhere = NeuralDensity.__new__(NeuralDensity)
    elsewhere.__setstate__(state)
    assert elsewhere.device == "cuda:7"
    assert next(elsewhere.model.parameters()).device.type == "cpu"


@needs_cuda
def test_scores_on_another_device_are_close(X):
    model = VAEDensity(**SMALL, device="cpu").fit(X)
    state = model._density.__getstate__()
    there = NeuralDensity(**state | {"device": "cuda"})
    rows, noise = model._standardized(X), model._noise(None)
    assert_allclose(there.evidence(rows, noise), model._density.evidence(rows, noise), rtol=1e-3)


# -- callbacks, printing, and missing torch ----------------------------------------------------------


def test_each_epoch_is_a_task_of_callbacks_which_may_end_the_fit(X):
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
    recorder = Recorder()
    model = VAEDensity(**SMALL).set_callbacks(recorder).fit(X, sample_weight=weights(N))
    epochs = recorder.of("epoch")
    assert [epoch.n_iter_ for epoch in epochs] == [1, 2, 3, 4, 5]
    assert all(np.isfinite(epoch.score(X)) for epoch in epochs)
    assert recorder.of("fit")[0].score(X) == model.score(X)
    stopped = VAEDensity(**SMALL).set_callbacks(Recorder(stop_after="epoch")).fit(X)
    assert stopped.n_iter_ == 1


def test_a_line_for_each_epoch(X, capsys):
    VAEDensity(**SMALL, verbose=1).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert all("validation_bound" in line for line in lines)
    VAEDensity(**SMALL).fit(X)
    assert capsys.readouterr().out == ""


def test_without_torch_fit_raises_an_import_error():
    script = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, NoTorch())
import numpy as np
from sklearn_lvm import PPCA, VAEDensity
X = np.random.default_rng(0).normal(size=(20, 3))
PPCA(1).fit(X)
for method in ("fit", "partial_fit"):
    model = VAEDensity()
    try:
        getattr(model, method)(X)
    except ImportError as error:
        assert "pip install 'sklearn-lvm[torch]'" in str(error), error
        assert vars(model).keys() == model.get_params().keys()
    else:
        raise SystemExit("no error")
"""
    subprocess.run([sys.executable, "-c", script], check=True)


# -- what is fitted stays so, whatever is set afterwards -----------------------------------------------


def test_parameters_set_after_a_fit_change_no_answer(X):
    model = VAEDensity(2, max_iter=2, random_state=0).fit(X)
    before = model.score_samples(X), model.transform(X), model.sample(3, random_state=0)
    model.set_params(
        n_components=3, likelihood="bernoulli", binarize=0.5, hidden_layer_sizes=(), beta=3.0
    )
    after = model.score_samples(X), model.transform(X), model.sample(3, random_state=0)
    for value, expected in zip(after, before, strict=True):
        assert_array_equal(value, expected)
    assert len(model.get_feature_names_out()) == 2


def test_rows_at_the_limits_of_numbers_are_fitted_or_refused_by_name(X):
    far = X.copy()
    far[0] = 1e200
    assert np.isfinite(VAEDensity(2, max_iter=2, random_state=0).fit(far).score(X))
    with pytest.raises(ValueError, match="spreads over more than a floating point number can hold"):
        VAEDensity(2, max_iter=2).fit(np.r_[X, np.full((3, X.shape[1]), 1.7e308), -1.7e308 + 0 * X])
