"""Settings of torch: fits and scores depend on none of them, and leave them as they were."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import numpy as np
import pytest
from numpy.testing import assert_array_equal

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm import VAEDensity  # noqa: E402
from sklearn_lvm.neural.settings import lent, one_thread  # noqa: E402
from sklearn_lvm.neural.training import Trainer  # noqa: E402

from ..estimators.specs import clouds  # noqa: E402

N = 120


def noisy(n_inputs, n_outputs):
    """A network whose layers draw at random in each step, and keep moments of batches."""
    return torch.nn.Sequential(
        torch.nn.Linear(n_inputs, 9),
        torch.nn.Dropout(0.3),
        torch.nn.BatchNorm1d(9),
        torch.nn.Linear(9, n_outputs),
    )


MODELS = {
    "default": VAEDensity(2),
    "shared": VAEDensity(2, likelihood="gaussian_shared", hidden_layer_sizes=(5,)),
    "importance": VAEDensity(2, n_importance_samples=3, precision="bf16"),
    "custom": VAEDensity(2, encoder=noisy, decoder=noisy),
    "images": VAEDensity(
        2, network="conv", image_shape=(1, 3), hidden_layer_sizes=(3,), early_stopping=False
    ),
}
every_model = pytest.mark.parametrize("kind", MODELS)


@pytest.fixture
def X():
    X = clouds(N)
    X[::3, 1] = np.nan
    return X


def new(kind, seed=0):
    changes = {"max_iter": 3, "n_score_samples": 8, "random_state": seed}
    return VAEDensity(**MODELS[kind].get_params() | changes)


def results(kind, X, seed=0):
    """What a fit, its pickle, and later epochs say of rows."""
    model = pickle.loads(pickle.dumps(new(kind, seed).fit(X)))
    found = [model.score_samples(X), model.elbo(X), model.sample(5), model.impute(X)]
    found.append(model.history_["bound"])
    return [*found, model.partial_fit(X).score_samples(X), model.partial_fit(X).transform(X)]


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert_array_equal(one, other)


# -- the generator that all share ----------------------------------------------------------------------


def test_fits_in_threads_equal_the_same_fits_alone(X):
    jobs = [(kind, seed) for seed in range(4) for kind in MODELS]
    alone = [results(kind, X, seed) for kind, seed in jobs]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: results(job[0], X, job[1]), jobs))
    for found, expected in zip(together, alone, strict=True):
        assert_same(found, expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_generator_is_lent_and_given_back():
    torch.manual_seed(5)
    before, generator = torch.get_rng_state(), torch.Generator().manual_seed(6)
    expected = torch.randn(4, generator=torch.Generator().manual_seed(6))
    with lent(generator):
        found = torch.randn(2)
    assert torch.equal(torch.cat([found, torch.randn(2, generator=generator)]), expected)
    with pytest.raises(KeyError), lent(generator):
        raise KeyError(torch.randn(3))
    assert torch.equal(torch.get_rng_state(), before)


# -- modes and defaults --------------------------------------------------------------------------------


@contextmanager
def default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        yield
        assert torch.get_default_dtype() is torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def lower_precision():
    return torch.autocast("cpu", dtype=torch.bfloat16)


def default_device():
    return torch.device("meta")  # which holds no numbers: whatever is made there fails


SETTINGS = [torch.no_grad, torch.inference_mode, lower_precision, default_dtype, default_device]


@every_model
@pytest.mark.parametrize("setting", SETTINGS)
def test_results_do_not_depend_on_a_setting_of_the_caller(setting, kind, X):
    expected = results(kind, X)
    before = torch.get_rng_state()
    with setting():
        mode = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        found = results(kind, X)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == mode
    assert_same(found, expected)
    assert torch.equal(torch.get_rng_state(), before)


# -- threads -------------------------------------------------------------------------------------------


@pytest.fixture(params=[1, 3])
def n_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def in_a_new_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def numbers_of_threads():
    return torch.get_num_threads(), in_a_new_thread(torch.get_num_threads)


@every_model
def test_results_do_not_depend_on_the_number_of_threads(kind, X, n_threads):
    found = results(kind, X)
    torch.set_num_threads(2)
    assert_same(found, results(kind, X))


@pytest.mark.parametrize(
    ("params", "one"),
    [
        ({}, True),
        ({"hidden_layer_sizes": (700, 700)}, False),
        ({"hidden_layer_sizes": (700, 700), "batch_size": 5}, True),
        ({"hidden_layer_sizes": (60, 60), "n_importance_samples": 200}, False),
        ({"encoder": torch.nn.Linear, "decoder": torch.nn.Linear}, True),
    ],
)
def test_small_networks_train_on_one_thread(params, one, X, n_threads, monkeypatch):
    seen, advance = [], Trainer.advance

    def watched(self):
        seen.extend(numbers_of_threads())
        advance(self)

    monkeypatch.setattr(Trainer, "advance", watched)
    VAEDensity(2, max_iter=1, random_state=0, **params).fit(X)
    assert seen == [1 if one else n_threads, n_threads]
    assert numbers_of_threads() == (n_threads, n_threads)


def test_a_failed_fit_gives_the_threads_back(X, n_threads, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        VAEDensity(2).fit(X)
    with pytest.raises(TypeError):
        VAEDensity(2, encoder=lambda n_inputs, n_outputs: None).fit(X)
    assert numbers_of_threads() == (n_threads, n_threads)
    assert torch.is_grad_enabled()


def test_threads_that_are_held_together_keep_their_numbers(n_threads):
    barrier = Barrier(4)

    def held(_):
        for _ in range(20):
            barrier.wait()
            with one_thread():
                barrier.wait()
                assert torch.get_num_threads() == 1
        return torch.get_num_threads()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(held, range(4))) == [n_threads] * 4
    assert numbers_of_threads() == (n_threads, n_threads)
