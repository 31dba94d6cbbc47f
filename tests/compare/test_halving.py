"""The search goes from few rows to many, keeps the best settings, and ends in time."""

import os
from time import monotonic, sleep

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold, RepeatedKFold
from sklearn.neighbors import KernelDensity

from sklearn_lvm import EMGaussianMixture, StandardizedDensity, compare_densities
from sklearn_lvm.compare import budget, comparison
from sklearn_lvm.compare.models import MODELS, Candidate
from sklearn_lvm.compare.readers import as_table
from sklearn_lvm.compare.search import Setting, settings_of
from sklearn_lvm.compare.workers import InProcess, Processes, Task, score_fold
from tests.compare.helpers import ScriptedDensity, two_clusters

X = two_clusters(9000, seed=1)


class Fits(BaseEstimator):
    """Notes the rows and the setting of each of its fits; the score is a function of both."""

    def __init__(self, n_components=1, score=None):
        self.n_components = n_components
        self.score = score

    def fit(self, X, y=None):
        self.fits.append((len(X), self.n_components))
        self.n_fitted_ = len(X)
        return self

    def score_samples(self, X):
        score = self.score or (lambda n, k: -abs(k - n / 2000))
        return np.full(len(X), float(score(self.n_fitted_, self.n_components)))


@pytest.fixture
def fits(monkeypatch):
    monkeypatch.setattr(Fits, "fits", [], raising=False)
    return Fits.fits


def test_settings_are_known_by_the_positions_of_their_values():
    found = settings_of([{"a": [1, 2], "b": ["x"]}, {"a": [3]}])
    assert found == {
        Setting(0, (0, 0)): {"a": 1, "b": "x"},
        Setting(0, (1, 0)): {"a": 2, "b": "x"},
        Setting(1, (0,)): {"a": 3},
    }


def test_the_best_third_of_the_settings_goes_on_to_twice_the_rows(fits):
    grid = {"n_components": [1, 2, 3, 4, 5, 6, 7, 8, 9]}
    compare_densities(X, {"m": (Fits(score=lambda n, k: -k), grid)}, cv=5)
    searched = {}
    for n, k in fits[: -5 + 1]:
        searched.setdefault(round(n / 0.8, -3), []).append(k)
    assert searched[2000] == list(range(1, 10))
    assert searched[4000] == [1, 2, 3]
    assert searched[8000] == [1, 2]
    assert [k for _, k in fits[-4:]] == [1] * 4


def test_more_components_take_part_again_where_there_are_more_rows(fits):
    """One component for 2000 rows is best: four were not among the best third of few rows."""
    grid = {"n_components": [1, 2, 3, 4, 5, 6, 7, 8, 9]}
    (row,) = compare_densities(X, {"m": (Fits(), grid)}, cv=5).rows
    assert row.best_params == {"n_components": 4}
    assert {k for n, k in fits if 3000 < n < 4000} == {1, 2, 3}


def test_small_tables_are_searched_fold_by_fold(fits):
    grid = {"n_components": list(range(1, 10))}
    compare_densities(X[:1000], {"m": (Fits(score=lambda n, k: -k), grid)}, cv=5)
    assert [k for _, k in fits] == [*range(1, 10), *range(1, 10), 1, 2, 3, 1, 1]


def test_tables_of_few_rows_are_searched_on_all_folds(fits):
    grid = {"n_components": list(range(1, 10))}
    compare_densities(X[:200], {"m": (Fits(score=lambda n, k: -k), grid)}, cv=5)
    assert [k for _, k in fits] == 5 * [*range(1, 10)]


def test_every_model_is_scored_on_the_same_rows():
    comparison = compare_densities(
        X, {"one": GaussianMixture(2), "other": GaussianMixture(2)}, rows=4000
    )
    assert_array_equal(*(row.held_out for row in comparison.rows))
    assert comparison.n_rows == 4000
    assert comparison.notes == (
        "4000 of 9000 rows were compared, drawn at random, as rows=4000 asks for",
    )
    assert compare_densities(X[:3000], [GaussianMixture(2)], rows=10**6).n_rows == 3000


@pytest.mark.parametrize("rows", [0, 9, True, 2.5, "all"])
def test_rows_are_a_number_that_can_be_split(rows):
    with pytest.raises(ValueError, match="rows must be an integer of at least 10, got"):
        compare_densities(X, [GaussianMixture()], rows=rows)


@pytest.mark.parametrize("seconds", [0, -1.0, True, "1 h", np.nan])
def test_a_time_budget_is_a_positive_number(seconds):
    with pytest.raises(ValueError, match="time_budget must be a positive number of seconds, got"):
        compare_densities(X, [GaussianMixture()], time_budget=seconds)


@pytest.mark.parametrize("n_jobs", [0, True, 1.5, "all"])
def test_jobs_are_counted(n_jobs):
    with pytest.raises(ValueError, match="n_jobs must be a number of processes, or -1"):
        compare_densities(X, [GaussianMixture()], n_jobs=n_jobs)


# -- time ----------------------------------------------------------------------------------------------


class Timed(ScriptedDensity):
    """Would take a second for so many rows."""

    def __init__(self, rows_per_second=1e9, score=0.0, error=None, random_state=None):
        super().__init__(score, error, random_state)
        self.rows_per_second = rows_per_second


class SimulatedWorkers(InProcess):
    """One fit after the other, on a clock of their own."""

    now = 0.0

    def run(self, tasks, record, until):
        for i, task in enumerate(tasks):
            speed = task.estimator.get_params().get("rows_per_second", 1e9)
            seconds = len(task.train) / speed
            if self.now + seconds > until:
                type(self).now = until
                return
            type(self).now += seconds
            record(i, score_fold(self.X, task)._replace(fit_time=seconds, score_time=0.0))


@pytest.fixture
def simulated(monkeypatch):
    monkeypatch.setattr(SimulatedWorkers, "now", 0.0)
    monkeypatch.setattr(budget, "monotonic", lambda: SimulatedWorkers.now)
    monkeypatch.setattr(comparison, "monotonic", lambda: SimulatedWorkers.now)
    monkeypatch.setattr(comparison, "workers_for", lambda X, n_jobs, stoppable: SimulatedWorkers(X))


@pytest.mark.usefixtures("simulated")
def test_rows_are_as_many_as_the_budget_allows_and_slow_models_are_left_out():
    """On 2000 rows the slow model takes a second a fit; on 9000 rows five fits exceed the budget."""
    models = {"fast": KernelDensity(), "slow": Timed(1600.0)}
    found = compare_densities(X, models, time_budget=20)
    assert SimulatedWorkers.now < 20
    fast, slow = found.rows
    assert (fast.model, slow.model) == ("fast", "slow")
    assert found.n_rows == 9000
    assert slow.left_out == "5 more fits on 9000 rows would take about 28 s"
    assert f"- slow   left out: {slow.left_out}" in str(found)
    assert found.notes == ()


@pytest.mark.usefixtures("simulated")
def test_a_slow_model_is_scored_last_if_there_is_time():
    models = {"slow": Timed(1600.0), "fast": KernelDensity()}
    lines = []
    found = compare_densities(X, models, time_budget=50, progress=lines.append)
    assert [row.scored for row in found.rows] == [True, True]
    assert [line.split(":")[0] for line in lines[-2:]] == ["fast", "slow"]


@pytest.mark.usefixtures("simulated")
def test_many_models_share_the_budget():
    models = {f"model {i}": Timed(1600.0) for i in range(6)}
    found = compare_densities(X, models, time_budget=60)
    assert found.n_rows == 2000
    assert all(row.scored for row in found.rows)
    assert found.notes == (
        "2000 of 9000 rows were compared, for the time budget of 60 s allows no more; rows=2000 "
        "repeats this",
    )
    assert SimulatedWorkers.now <= 60


@pytest.mark.usefixtures("simulated")
def test_the_budget_stops_fits_that_it_did_not_expect():
    models = {"fast": KernelDensity(), "stuck": Timed(1.0)}
    found = compare_densities(X[:500], models, time_budget=60)
    assert SimulatedWorkers.now <= 1.5 * 60
    assert [row.model for row in found.rows] == ["fast", "stuck"]
    assert found.rows[1].left_out == "none of its fits ended in time"


@pytest.mark.usefixtures("simulated")
def test_settings_that_do_not_end_are_named_and_leave_the_others_standing():
    models = {"part": (Timed(), {"rows_per_second": [1e9, 1.0]})}
    found = compare_densities(X[:500], models, time_budget=60)
    assert found.rows[0].best_params == {"rows_per_second": 1e9}
    (note,) = found.notes
    assert note == "left out, for their fits took too long: part with rows_per_second=1"


@pytest.mark.usefixtures("simulated")
def test_the_number_of_rows_repeats_what_a_budget_found():
    models = {f"slow {i}": Timed(1600.0) for i in range(6)}
    models["em"] = (EMGaussianMixture(), {"n_components": [1, 2, 3, 4]})
    limited = compare_densities(X, models, time_budget=60)
    assert limited.n_rows < len(X)
    again = compare_densities(X, {"em": models["em"]}, rows=limited.n_rows)
    found = next(row for row in limited.rows if row.model == "em")
    assert again.rows[0].best_params == found.best_params
    assert_array_equal(again.rows[0].held_out, found.held_out)


@pytest.mark.usefixtures("simulated")
def test_a_choice_that_there_is_no_time_for_is_not_made_on_fewer_rows():
    grid = {"score": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]}
    found = compare_densities(
        X, {"fast": KernelDensity(), "slow": (Timed(1600.0), grid)}, time_budget=45
    )
    (slow,) = (row for row in found.rows if row.model == "slow")
    assert slow.left_out.startswith("its fits on 4000 rows would take about")


@pytest.mark.usefixtures("simulated")
def test_a_fixed_number_of_rows_is_only_stopped_by_the_budget():
    models = {"fast": KernelDensity(), "slow": Timed(1600.0), "stuck": Timed(10.0)}
    found = compare_densities(X, models, rows=4000, time_budget=30)
    assert {row.model: row.scored for row in found.rows} == {
        "fast": True,
        "slow": True,
        "stuck": False,
    }
    assert found.rows[-1].left_out == "none of its fits ended in time"


def test_processes_are_killed_in_the_middle_of_a_fit_and_others_take_their_place():
    rows = X[:50]
    quick = Task(KernelDensity(), np.arange(40), np.arange(40, 50))
    stuck = quick._replace(estimator=Stuck())
    found = {}
    with Processes(rows, 2) as workers:
        workers.run([quick], found.__setitem__, np.inf)
        start = monotonic()
        workers.run([quick, stuck], found.__setitem__, start + 2.0)
        assert monotonic() - start < 30  # of the hundred that the fit would take
        workers.run([quick, quick, quick], lambda i, result: found.update({i + 10: result}), np.inf)
    assert 1 not in found
    expected = score_fold(rows, quick).held_out
    for i in (0, 10, 11, 12):
        assert_array_equal(found[i].held_out, expected)


class Stuck(ScriptedDensity):
    def fit(self, X, y=None):
        sleep(100)


class Dies(ScriptedDensity):
    def fit(self, X, y=None):
        os._exit(1)


def test_a_process_that_dies_is_the_failure_of_its_model_alone():
    with Processes(X[:50], 1) as workers:
        dies = Task(Dies(), np.arange(40), np.arange(40, 50))
        lives = dies._replace(estimator=KernelDensity())
        found = {}
        workers.run([lives, dies, lives, lives], found.__setitem__, np.inf)
        assert "its process died" in found[1].error
        assert [found[i].error for i in (0, 2, 3)] == [""] * 3
        workers.run([lives], found.__setitem__, np.inf)
        assert found[0].error == ""


def test_kernel_densities_have_a_limited_number_of_kernels(monkeypatch):
    monkeypatch.setattr("sklearn_lvm.compare.models.MAX_KERNELS", 100)
    (row,) = compare_densities(X[:1000], ["KernelDensity"]).rows
    assert row.caveat == "fitted to 100 rows of each fold"
    (row,) = compare_densities(X[:120], ["KernelDensity"]).rows
    assert row.caveat == ""
    n_rows = MODELS["KernelDensity"](type("Size", (), {"n_samples": 9, "n_features": 1})).max_rows
    assert n_rows == 100


def test_a_row_that_is_held_out_twice_counts_once():
    once = compare_densities(
        X[:300], [GaussianMixture(2)], cv=KFold(3, shuffle=True, random_state=0)
    )
    twice = compare_densities(
        X[:300], [GaussianMixture(2)], cv=RepeatedKFold(n_splits=3, n_repeats=2, random_state=0)
    )
    assert once.rows[0].held_out.shape == twice.rows[0].held_out.shape == (300,)
    assert (once.cv, twice.cv) == (3, 6)


def test_a_setting_that_fails_on_a_later_fold_gives_way_to_the_next(monkeypatch):
    class Fragile(ScriptedDensity):
        def fit(self, X, y=None):
            if self.score == 1.0 and (X[:, 0] == target).any():
                raise RuntimeError("one row too many")
            return self

    rows = X[:60]
    target = rows[
        KFold(5, shuffle=True, random_state=_splits_seed()).split(rows).__next__()[1][0], 0
    ]
    (row,) = compare_densities(rows, {"m": (Fragile(), {"score": [0.0, 1.0]})}).rows
    assert row.best_params == {"score": 0.0}
    assert not row.error


def _splits_seed():
    return np.random.RandomState(0).randint(2**31 - 1, size=2)[0]


def test_the_next_larger_number_is_found_in_any_order_of_the_grid(fits):
    for grid in ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]):
        (row,) = compare_densities(X, {"m": (Fits(), {"n_components": grid})}, cv=5).rows
        assert row.best_params == {"n_components": 4}


def test_estimators_in_a_grid_are_copied_and_seeded():
    inner = GaussianMixture(5, max_iter=3, init_params="random")
    models = {"m": (StandardizedDensity(KernelDensity()), {"density": [inner, KernelDensity()]})}
    rows = [compare_densities(X[:200], models, random_state=3).rows[0] for _ in range(2)]
    assert_array_equal(*(row.held_out for row in rows))
    assert not hasattr(inner, "means_")
    assert inner.random_state is None


class Interrupts:
    """Raises a KeyboardInterrupt after so many fits."""

    def __init__(self, fits):
        self.left = fits

    def expect(self, fits):
        pass

    def fitted(self, model):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def line(self, text):
        pass


@pytest.mark.parametrize("fits", [1, 4, 9, 12, 14, 16])
def test_an_interrupt_leaves_what_was_found_and_says_nothing_else(fits):
    grid = {"n_components": [1, 2, 3, 4]}
    models = {"a": (GaussianMixture(), grid), "b": (GaussianMixture(), grid)}
    run = comparison.ComparisonRun(
        as_table(X[:4000]),
        models,
        cv=5,
        n_jobs=None,
        random_state=0,
        dequantize=True,
        time_budget=None,
        rows=None,
    )
    with pytest.raises(KeyboardInterrupt):
        run.run(Interrupts(fits))
    found = run.comparison("stopped")
    assert found.notes == ()
    assert found.rows[0].scored
    assert {row.left_out for row in found.rows} <= {"", "the search was interrupted"}
    sizes = {row.held_out.shape for row in found.rows if row.scored}
    assert len(sizes) == 1
    assert all(row.scored for row in found.rows) == (fits > 4)
    assert "INCOMPLETE: stopped" in str(found)


def test_lines_tell_of_every_model_that_has_ended():
    lines = []
    models = {"kde": KernelDensity(), "fail": ScriptedDensity(error="no")}
    compare_densities(X, models, rows=2000, progress=lines.append)
    assert len(lines) == 1
    assert lines[0].startswith("kde: -")
    assert " nats per row (" in lines[0]


def test_candidates_have_no_limit_of_rows_but_for_kernels():
    assert Candidate(KernelDensity(), {}).max_rows is None
