"""A sketch in single precision goes first, and leaves nothing behind but time saved."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from sklearn_lvm.core.mixture import Mixture
from sklearn_lvm.inference.distribute import Walker
from sklearn_lvm.inference.em import ROUNDING, SHORT, climb

from .specs import every_family, plain_objective
from .test_em import Recorder, run, scene

STEPS = 60


class Seen:
    """Steps that note the precision of the rows of every E-step."""

    def __init__(self, steps, precisions):
        self.steps, self.precisions = steps, precisions

    def e_step(self, model):
        look = self.steps.e_step(model)
        self.precisions.append(type(self.steps).__name__)
        return look

    def __getattr__(self, name):
        return getattr(self.steps, name)


@every_family
def test_a_sketch_goes_first_and_all_digits_have_the_last_word(family):
    steps, start, rows, w, blocks = scene(family, 3, 0.01)
    asked = []
    exact, rough = Seen(steps, asked), Seen(steps.sketch(), asked)
    seen = Recorder()
    end = run(
        exact,
        start,
        blocks,
        sketch=rough,
        tol=1e-8,
        max_iter=500,
        acceleration="squarem",
        watcher=seen,
    )
    assert end.converged
    switch = asked.index("MixtureSteps")
    assert set(asked[:switch]) == {"SketchSteps"}
    assert set(asked[switch:]) == {"MixtureSteps"}
    assert switch >= 2
    assert end.n_iter == len(asked) - 1 == len(seen.ended)
    assert (np.diff(end.trace) >= 0).all()
    assert_allclose(end.objective, plain_objective(end.model, rows, w, 0.01), rtol=1e-10)
    assert len({id(now.model) for now in seen.ended}) > 3


@every_family
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_top_is_the_same(family, seed):
    steps, start, _, _, blocks = scene(family, seed, 0.05)
    go = partial(run, steps, start, blocks, tol=1e-10, max_iter=2000, acceleration="squarem")
    plain, sketched = go(), go(sketch=steps.sketch())
    assert plain.converged
    assert sketched.converged
    assert sketched.objective >= plain.objective - 1e-9


@every_family
def test_a_short_climb_has_no_sketch(family):
    steps, start, _, _, blocks = scene(family, 0, 0.01)
    asked = []
    run(steps, start, blocks, sketch=Seen(steps.sketch(), asked), max_iter=SHORT - 1)
    assert not asked


@every_family
def test_the_last_steps_have_all_digits_however_few_there_are(family):
    steps, start, rows, w, blocks = scene(family, 0, 0.01)
    end = run(steps, start, blocks, sketch=steps.sketch(), max_iter=SHORT + 1)
    assert end.n_iter == SHORT + 1
    assert_allclose(end.objective, plain_objective(end.model, rows, w, 0.01), rtol=1e-10)
    plain = run(steps, start, blocks, max_iter=SHORT)  # one step looks a second time
    assert_allclose(end.objective, plain.objective, atol=1e-5)


@every_family
def test_threads_do_not_change_a_bit(family):
    steps, start, _, _, blocks = scene(family, 0, 0.01)
    ends = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            ends.append(run(steps, start, blocks, sketch=steps.sketch(), tol=1e-7, max_iter=STEPS))
    one, two = ends
    assert one.trace == two.trace
    assert_array_equal(one.model.parts.mean, two.model.parts.mean)


@every_family
@pytest.mark.parametrize(
    ("scale", "place"), [(1e-6, 1.0), (1.0, 1e6)], ids=["tight clusters", "far away"]
)
def test_what_single_precision_cannot_hold_is_not_sketched(family, scale, place):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    rows = (scale * rng.normal(size=(300, 2)) + place * labels[:, None]).T
    steps = family.steps(np.zeros(2))
    start = steps.fit(steps.family.statistics(rows, np.eye(2)[:, labels]))
    lens = start.parts.lens(start.log_weights)
    assert lens.amplification > 1e5
    block = rows, np.ones(300)
    one, two = steps.e_step(start)(block), steps.sketch().e_step(start)(block)
    assert one.evidence == two.evidence


@every_family
def test_a_sketch_is_as_close_as_it_says(family):
    """Log-densities of single rows to 1e-3 nats, and of many to much less."""
    rng = np.random.default_rng(5)
    model = family.mixture(3, 4, rng)
    rows, w = np.ascontiguousarray(3 * rng.normal(size=(4, 500))), rng.uniform(size=500)
    steps = family.steps(np.full(4, 1e-3))
    exact, rough = (s.e_step(model)((rows, w)) for s in (steps, steps.sketch()))
    assert rough.evidence != exact.evidence
    assert_allclose(rough.objective, exact.objective, rtol=0, atol=1e-5)
    for one, two in zip(rough.statistics.arrays, exact.statistics.arrays, strict=True):
        assert one.dtype == np.float64
        assert_allclose(one, two, rtol=1e-4, atol=1e-4 * np.abs(two).max())


class Fails:
    """Sketches that come to a bad end after some steps."""

    def __init__(self, steps, good, failure):
        self.steps, self.good, self.failure = steps, good, failure

    def e_step(self, model):
        self.good -= 1
        if self.good < 0:
            raise self.failure
        return self.steps.e_step(model)

    def __getattr__(self, name):
        return getattr(self.steps, name)


@pytest.mark.parametrize("good", [0, 1, 5])
@pytest.mark.parametrize("failure", [np.linalg.LinAlgError("singular"), FloatingPointError("nan")])
def test_a_sketch_that_fails_is_left_where_it_was(good, failure):
    family = every_family.args[1][0]
    steps, start, rows, w, blocks = scene(family, 0, 0.01)
    sketch = Fails(steps.sketch(), good, failure)
    seen = Recorder()
    end = run(steps, start, blocks, sketch=sketch, max_iter=2000, tol=1e-6, watcher=seen)
    assert end.converged
    assert len(seen.begun) == len(seen.ended) == end.n_iter
    assert_allclose(end.objective, plain_objective(end.model, rows, w, 0.01), rtol=1e-10)


def test_rows_that_overflow_in_single_precision_do_not_warn():
    family = every_family.args[1][0]
    steps, start, _, _, blocks = scene(family, 0, 0.01)
    far = [(1e30 * Z, w) for Z, w in blocks]
    wide = Mixture(start.log_weights, start.parts.rescale(np.zeros(2), np.full(2, 1e30)))
    with Walker() as walker:
        end = climb(steps, wide, far, walker, max_iter=STEPS, tol=1e-6, sketch=steps.sketch())
    assert np.isfinite(end.objective)


def test_a_trace_is_no_better_than_what_all_digits_say():
    """Entries of the sketch above the first exact one are lowered to it."""
    family = every_family.args[1][0]
    steps, start, _, _, blocks = scene(family, 4, 0.01)
    end = run(steps, start, blocks, sketch=steps.sketch(), max_iter=300, tol=1e-9)
    assert (np.diff(end.trace) >= 0).all()
    assert end.objective == pytest.approx(
        run(steps, end.model, blocks, max_iter=0).objective, abs=ROUNDING
    )
