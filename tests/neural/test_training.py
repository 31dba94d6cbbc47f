"""Training: rows on the device, the weights that are kept, and the running average."""

import shutil

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm.neural import bounds, training  # noqa: E402

from ..estimators.specs import clouds  # noqa: E402
from .trainers import finish, trainer  # noqa: E402

N = 150


@pytest.fixture
def X():
    return clouds(N)


# -- rows --------------------------------------------------------------------------------------------


def test_ones_and_zeros_are_held_as_bytes(X):
    assert trainer((X > 0).astype(float), likelihood="bernoulli").rows.x.dtype == torch.uint8
    assert trainer(X).rows.x.dtype == torch.float32


def test_probabilities_are_replaced_by_a_new_draw_at_each_use():
    levels = np.random.default_rng(0).uniform(size=(2000, 3))
    rows = trainer(levels, probabilities=True, likelihood="bernoulli").rows
    generator = torch.Generator().manual_seed(0)
    draws = [rows.take(torch.arange(2000), generator)[0].numpy() for _ in range(50)]
    assert set(np.unique(draws[0])) == {0.0, 1.0}
    assert not np.array_equal(draws[0], draws[1])
    assert_allclose(np.mean(draws, axis=0), levels, atol=0.35)
    assert_allclose(np.mean(draws), levels.mean(), atol=0.005)


def test_weights_multiply_the_loss_of_a_row(X):
    w = np.random.default_rng(0).uniform(0.5, 2.0, N)
    rows = trainer(X, weight=w).rows
    values, everything = torch.randn(N), torch.arange(N)
    assert_allclose(
        rows.mean(values, everything).item(), np.average(values.numpy(), weights=w), rtol=1e-4
    )
    assert trainer(X, weight=np.full(N, 3.0)).rows.weight is None


# -- weights that are kept ---------------------------------------------------------------------------


def test_the_bound_rises_and_the_best_weights_are_kept(X):
    run = finish(trainer(X, max_iter=40, n_iter_no_change=40))
    validation = run.history["validation_bound"]
    assert run.best_bound == max(validation) > validation[0] + 0.5
    run.average.load_state_dict(run.best)
    assert run.validate() == run.best_bound


def test_the_rate_is_halved_three_times_before_a_stalled_training_ends(X):
    run = trainer(X, max_iter=100)
    run.validate = lambda: -1.0
    finish(run)
    assert run.epoch == 1 + run.options.n_iter_no_change
    assert_allclose(run.rate, 0.01 / 8)


def test_training_lasts_while_the_bound_rises(X):
    run = trainer(X, max_iter=20)
    bounds = iter(range(100))
    run.validate = lambda: float(next(bounds))
    assert (finish(run).epoch, run.rate) == (20, 0.01)


def test_an_epoch_whose_bound_is_not_finite_is_undone(X):
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


def test_the_average_spans_the_last_tenth_of_the_steps(X):
    run = trainer(X)
    with torch.no_grad():
        for module, value in ((run.average, 0.0), (run.model, 1.0)):
            for parameter in module.parameters():
                parameter.fill_(value)
    run.n_steps = 10 * training.MIN_AVERAGE_STEPS
    for _ in range(training.MAX_AVERAGE_INTERVAL):  # one of which counts for all
        run._update_average(1)
    share = training.MAX_AVERAGE_INTERVAL / training.MIN_AVERAGE_STEPS
    assert_allclose(next(run.average.parameters()).detach().numpy(), share, rtol=1e-6)


def test_the_average_equals_the_weights_at_first(X):
    run = trainer(X, max_iter=1)
    run.train_epoch()
    assert run.n_steps == 4
    for followed, weight in zip(run.average.parameters(), run.model.parameters(), strict=True):
        assert_array_equal(followed.detach(), weight.detach())


# -- compilation -------------------------------------------------------------------------------------


def bounds_of_steps(compiled, X):
    return finish(trainer(X, max_iter=3, compile=compiled)).history["bound"]


def test_the_objective_is_compiled(X, monkeypatch):
    given = []
    monkeypatch.setattr(torch, "compile", lambda step: given.append(step) or step)
    assert bounds_of_steps(True, X) == bounds_of_steps(False, X)
    assert given == [bounds.elbo]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch, in its own modules
def test_a_compiled_objective_gives_the_same_bounds(X):
    assert_allclose(bounds_of_steps(True, X), bounds_of_steps(False, X), rtol=1e-4)
