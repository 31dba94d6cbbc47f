"""Training: the best weights are kept, a number that is none is stepped back from, files go on."""

import shutil

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm import VAEDensity  # noqa: E402
from sklearn_lvm.neural import bounds, training  # noqa: E402
from sklearn_lvm.neural.networks import Architecture, build  # noqa: E402
from sklearn_lvm.neural.training import Rows, Trainer, TrainingOptions  # noqa: E402

from ..estimators.specs import clouds, same_state  # noqa: E402

N = 150
SMALL = {"hidden_layer_sizes": (6,), "random_state": 0, "learning_rate": 0.01}


@pytest.fixture
def X():
    return clouds(N)


def trainer(X, *, weight=None, grey=False, likelihood="gaussian", **changes):
    architecture = Architecture(X.shape[1], 2, likelihood, (6,), "tanh", "mlp", None, None, None)
    options = {
        "n_importance_samples": 1,
        "beta": 1.0,
        "learning_rate": 0.01,
        "batch_size": 40,
        "max_iter": 10,
        "n_iter_no_change": 6,
        "tol": 0.0,
        "precision": "float32",
        "compile": False,
    }
    weight = np.ones(len(X)) if weight is None else weight
    table = Rows.of(X, weight, grey=grey, device=torch.device("cpu"))
    return Trainer(
        build(architecture, 0), table, table, TrainingOptions(**options | changes), seed=3
    )


def finish(run):
    while not run.finished:
        run.advance()
    return run


# -- rows -------------------------------------------------------------------------------------------


def test_ones_and_zeros_are_held_as_bytes(X):
    assert trainer((X > 0).astype(float), likelihood="bernoulli").rows.x.dtype == torch.uint8
    assert trainer(X).rows.x.dtype == torch.float32


def test_grey_levels_are_drawn_anew_in_each_epoch():
    grey = np.random.default_rng(0).uniform(size=(2000, 3))
    rows = trainer(grey, grey=True, likelihood="bernoulli").rows
    generator = torch.Generator().manual_seed(0)
    draws = [rows.take(torch.arange(2000), generator)[0].numpy() for _ in range(50)]
    assert set(np.unique(draws[0])) == {0.0, 1.0}
    assert not np.array_equal(draws[0], draws[1])
    assert_allclose(np.mean(draws, axis=0), grey, atol=0.35)
    assert_allclose(np.mean(draws), grey.mean(), atol=0.005)


def test_weights_multiply_the_loss_of_a_row(X):
    w = np.random.default_rng(0).uniform(0.5, 2.0, N)
    rows = trainer(X, weight=w).rows
    values, everything = torch.randn(N), torch.arange(N)
    assert_allclose(
        rows.mean(values, everything).item(), np.average(values.numpy(), weights=w), rtol=1e-4
    )
    assert trainer(X, weight=np.full(N, 3.0)).rows.weight is None


# -- what is kept -----------------------------------------------------------------------------------


def test_the_bound_rises_and_the_best_weights_are_kept(X):
    run = finish(trainer(X, max_iter=40, n_iter_no_change=40))
    validation = run.history["validation_bound"]
    assert run.best_bound == max(validation) > validation[0] + 0.5
    run.average.load_state_dict(run.best)
    assert run.validate() == run.best_bound


def test_the_rate_drops_thrice_and_then_it_ends(X):
    run = trainer(X, max_iter=100)
    run.validate = lambda: -1.0
    finish(run)
    assert run.epoch == 1 + run.options.n_iter_no_change
    assert_allclose(run.rate, 0.01 / 8)


def test_a_rising_bound_is_followed_to_the_last_epoch(X):
    run = trainer(X, max_iter=20)
    bounds = iter(range(100))
    run.validate = lambda: float(next(bounds))
    assert (finish(run).epoch, run.rate) == (20, 0.01)


def test_an_epoch_that_is_no_number_is_undone(X):
    run = trainer(X)
    run.advance()
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    train_epoch = run.train_epoch

    def broken():
        train_epoch()
        return float("nan")

    run.train_epoch = broken
    run.advance()
    assert (run.rate, run.n_failures, run.failed) == (0.005, 1, False)
    assert all(torch.equal(value, before[name]) for name, value in run.model.state_dict().items())
    assert len(run.history["bound"]) == 1
    for _ in range(4):
        run.advance()
    assert run.failed
    assert run.finished


def test_a_fit_that_meets_no_number_ends_in_a_warning_with_good_weights(X, monkeypatch):
    train_epoch, calls = Trainer.train_epoch, iter(range(100))
    monkeypatch.setattr(
        Trainer, "learn", lambda self: train_epoch(self) if next(calls) < 3 else float("inf")
    )
    with pytest.warns(ConvergenceWarning, match="5 times the bound was no number.*learning_rate"):
        model = VAEDensity(**SMALL).fit(X)
    assert np.isfinite(model.score(X))
    monkeypatch.undo()
    assert_array_equal(model.sample(3), VAEDensity(**SMALL, max_iter=3).fit(X).sample(3))


def test_absurd_rates_end_with_finite_weights(X):
    params = SMALL | {"learning_rate": 1e30}
    with pytest.warns(ConvergenceWarning, match="no number"):
        model = VAEDensity(**params, max_iter=30).fit(X)
    assert np.isfinite(model.score(X))


# -- what is left alone -----------------------------------------------------------------------------


def test_the_state_of_torch_is_left_alone(X):
    torch.manual_seed(5)
    before = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
    model = VAEDensity(**SMALL, max_iter=2).fit(X)
    model.sample(2), model.score(X)
    after = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    torch.manual_seed(6)
    assert same_state(VAEDensity(**SMALL, max_iter=2).fit(X), model)


def test_another_default_precision_of_torch_changes_nothing_of_scores(X):
    model = VAEDensity(**SMALL, max_iter=2).fit(X)
    torch.set_default_dtype(torch.float64)
    try:
        assert_array_equal(model.score_samples(X), model.score_samples(X.copy()))
        assert np.isfinite(VAEDensity(**SMALL, max_iter=2).fit(X).score(X))
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.best_so_far.parametrize("k", [1, 4])
def test_low_precision_learns_the_same(k, X):
    params = SMALL | {"max_iter": 60, "n_importance_samples": k}
    plain, low = (VAEDensity(**params, precision=p).fit(X) for p in ("float32", "bf16"))
    assert plain.score(X) != low.score(X)
    assert abs(plain.score(X) - low.score(X)) < 0.15


# -- files ------------------------------------------------------------------------------------------


class InterruptedFit(KeyboardInterrupt):
    pass


def bounds_of_steps(compiled, X):
    return finish(trainer(X, max_iter=3, compile=compiled)).history["bound"]


def test_steps_are_what_is_compiled(X, monkeypatch):
    given = []
    monkeypatch.setattr(torch, "compile", lambda step: given.append(step) or step)
    assert bounds_of_steps(True, X) == bounds_of_steps(False, X)
    assert given == [bounds.elbo]


@pytest.best_so_far.slow
@pytest.best_so_far.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.best_so_far.filterwarnings("ignore::DeprecationWarning")  # of torch, in its own modules
def test_a_compiled_step_learns_the_same(X):
    assert_allclose(bounds_of_steps(True, X), bounds_of_steps(False, X), rtol=1e-4)


@pytest.best_so_far.parametrize("holes", [False, True])
@pytest.best_so_far.parametrize("epochs", [3, 7, 12])
def test_an_interrupted_training_goes_on_bit_for_bit(
    epochs, missing_layer, X, tmp_path, monkeypatch
):
    if missing_layer:
        X[::4, 1] = np.nan
    params = SMALL | {"max_iter": 15, "checkpoint": tmp_path / "fit"}
    plain = VAEDensity(**SMALL, max_iter=15).fit(X)
    advance, calls = Trainer.advance, iter(range(100))

    def interrupted(self):
        if next(calls) == epochs:
            raise InterruptedFit
        advance(self)

    model = VAEDensity(**params)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", interrupted)
        with pytest.raises(InterruptedFit):
            model.fit(X)
    assert not hasattr(model, "_density")
    assert (tmp_path / "fit").exists() == (epochs >= 5)
    model.fit(X)
    assert_array_equal(model.score_samples(X), plain.score_samples(X))
    assert model.history_ == plain.history_


def test_a_finished_training_is_not_done_again_but_may_go_further(X, tmp_path, monkeypatch):
    params = SMALL | {"checkpoint": tmp_path / "fit", "random_state": None}
    first = VAEDensity(**params, max_iter=5).fit(X)
    again = VAEDensity(**params, max_iter=5)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", None)
        again.fit(X)
    assert_array_equal(again.score_samples(X), first.score_samples(X))
    further = VAEDensity(**params, max_iter=8).fit(X)
    assert further.n_iter_ == 8
    assert further.history_["bound"][:5] == first.history_["bound"]


@pytest.best_so_far.parametrize(
    ("change", "message"),
    [({"n_components": 1}, "other parameters"), ({"learning_rate": 0.02}, "other parameters")],
)
def test_a_checkpoint_of_other_parameters_is_refused(change, message, X, tmp_path):
    params = SMALL | {"max_iter": 2, "checkpoint": str(tmp_path / "fit")}
    VAEDensity(**params).fit(X)
    with pytest.raises(ValueError, match=message):
        VAEDensity(**params | change).fit(X)
    with pytest.raises(ValueError, match="other data"):
        VAEDensity(**params).fit(X + 1e-9)
    with pytest.raises(ValueError, match="other data"):
        VAEDensity(**params).fit(X, sample_weight=np.arange(1, N + 1))


def test_the_average_follows_the_last_tenth_of_the_steps(X):
    run = trainer(X)
    with torch.no_grad():
        for module, value in ((run.average, 0.0), (run.model, 1.0)):
            for parameter in module.parameters():
                parameter.fill_(value)
    run.n_steps = 10 * training.MIN_AVERAGED_STEPS
    for _ in range(training.MAX_AVERAGING_INTERVAL):  # one of which counts for all
        run._update_average(1)
    share = training.MAX_AVERAGING_INTERVAL / training.MIN_AVERAGED_STEPS
    assert_allclose(next(run.average.parameters()).detach().numpy(), share, rtol=1e-6)


def test_the_average_is_the_weights_at_first(X):
    run = trainer(X, max_iter=1)
    run.train_epoch()
    assert run.n_steps == 4
    for followed, weight in zip(run.average.parameters(), run.model.parameters(), strict=True):
        assert_array_equal(followed.detach(), weight.detach())
