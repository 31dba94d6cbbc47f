"""Fits of many settings side by side, in processes that can be stopped at any moment."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import contextmanager
from functools import cache
from math import isinf
from multiprocessing import current_process
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from joblib import cpu_count, effective_n_jobs
from joblib.externals.loky import ProcessPoolExecutor
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from .._typing import Floats, Ints

__all__ = [
    "FoldScore",
    "InProcess",
    "Processes",
    "Task",
    "Workers",
    "one_line",
    "score_fold",
    "workers_for",
]

# How long a process may have nothing to do before it ends, in seconds.
IDLE_SECONDS = 60
# Until a task that was submitted just now is with the processes; the executor gets lost otherwise.
# An interrupt may hide that there is one: the first is waited in any case, the other if one is known.
HANDOVER_SECONDS, MAX_HANDOVER_SECONDS = 0.1, 10.0
# Where libraries look up how many threads they may use.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Task(NamedTuple):
    """An estimator, the rows to fit a copy of it to, and those to score."""

    estimator: Any
    train: Ints
    test: Ints


class FoldScore(NamedTuple):
    """What a fit found about rows that it had not seen; ``error`` says why there are no scores."""

    held_out: Floats = np.empty(0)
    fit_time: float = 0.0  # seconds
    score_time: float = 0.0  # seconds
    unconverged: bool = False
    error: str = ""

    @property
    def mean(self) -> float:
        """Mean log-density, in nats per row; NaN if the fit failed."""
        return float("nan") if self.error else float(self.held_out.mean())


Numbered = list[tuple[int, Task]]
"""Tasks and their numbers."""
Record = Callable[[int, FoldScore], None]
"""Takes the number of a task and its result, as soon as it has ended."""


class Workers(Protocol):
    """Runs tasks until a time of the monotonic clock."""

    n_jobs: int

    def run(self, tasks: Sequence[Task], record: Record, until: float) -> None:
        """Run tasks; those that have not ended by then are not recorded."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...


def workers_for(X: Floats, n_jobs: int | None, *, stoppable: bool) -> Workers:
    """Processes if there are several jobs, or if fits must be stoppable; else this process.

    A process of a pool may start no others: there, fits are stopped between two of them.
    """
    count = effective_n_jobs(n_jobs)
    if count == 1 and (not stoppable or current_process().daemon):
        return InProcess(X)
    return Processes(X, count)


class InProcess:
    """Runs one task after the other in this process, and stops between two of them."""

    n_jobs = 1

    def __init__(self, X: Floats) -> None:
        self.X = X

    def run(self, tasks: Sequence[Task], record: Record, until: float) -> None:
        """Run tasks; those that have not begun by then are not recorded."""
        for i, task in enumerate(tasks):
            if monotonic() > until:
                return
            record(i, score_fold(self.X, task))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class Processes:
    """Runs tasks in processes, which read the rows from one file, and are killed when time is up."""

    def __init__(self, X: Floats, n_jobs: int) -> None:
        self.X, self.n_jobs = X, n_jobs
        self._executor: ProcessPoolExecutor | None = None
        self._running: dict[Future[FoldScore], tuple[int, Task]] = {}

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="sklearn_lvm-", ignore_cleanup_errors=True)
        self._path = Path(self._folder.name) / "rows.npy"
        np.save(self._path, self.X)
        # What takes seconds is no part of the first fits.
        wait([self._executor_or_new().submit(_warm_up, self._path) for _ in range(self.n_jobs)])
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()
        self._folder.cleanup()

    def run(self, tasks: Sequence[Task], record: Record, until: float) -> None:
        """Run tasks; processes that are still at work by then are killed."""
        for i, task in self._run(list(enumerate(tasks)), record, until):
            # One of several died, and took the others with it: which one, each shows alone.
            for _ in self._run([(i, task)], record, until):
                record(i, FoldScore(error="its process died; did it run out of memory?"))

    def _run(self, tasks: Numbered, record: Record, until: float) -> Numbered:
        """Run tasks until one of their processes dies; return those that are lost then."""
        waiting = deque(tasks)
        running = self._running = dict[Future[FoldScore], tuple[int, Task]]()
        while (waiting or running) and (left := until - monotonic()) > 0:
            try:
                self._submit(waiting, running)
            except BrokenExecutor:
                self._stop()
                return [*running.values(), *waiting]
            done, _ = wait(running, None if isinf(left) else left, FIRST_COMPLETED)
            if any(isinstance(future.exception(), BrokenExecutor) for future in done):
                self._stop()
                return [*running.values(), *waiting]
            for future in done:
                record(running.pop(future)[0], _result(future))
        if running:
            self._stop()
        return []

    def _submit(
        self,
        waiting: deque[tuple[int, Task]],
        running: dict[Future[FoldScore], tuple[int, Task]],
    ) -> None:
        """Keep every process busy, with one more task at hand; no more, for they are hard to recall."""
        executor = self._executor_or_new()
        while waiting and len(running) < 2 * self.n_jobs:
            future = executor.submit(_score_from_file, self._path, waiting[0][1])
            running[future] = waiting.popleft()

    def _executor_or_new(self) -> ProcessPoolExecutor:
        if self._executor is None:
            threads = str(max(1, cpu_count() // self.n_jobs))
            self._executor = ProcessPoolExecutor(
                self.n_jobs,
                timeout=IDLE_SECONDS,
                initializer=_ignore_interrupts,
                env={name: os.environ.get(name, threads) for name in THREAD_VARIABLES},
            )
            with _interrupts_ignored():  # all processes start with the first task
                self._executor.submit(os.getpid)
        return self._executor

    def _stop(self) -> None:
        if self._executor is not None:
            self._wait_for_handover()
            with _thread_errors_ignored("ExecutorManagerThread"):
                self._executor.shutdown(wait=True, kill_workers=True)
            self._executor = None

    def _wait_for_handover(self) -> None:
        """Wait until no task is on its way to the processes, which may take long on a busy machine."""
        until = monotonic() + MAX_HANDOVER_SECONDS
        sleep(HANDOVER_SECONDS)
        while monotonic() < until and not all(f.running() or f.done() for f in self._running):
            sleep(HANDOVER_SECONDS / 10)


def _result(future: Future[FoldScore]) -> FoldScore:
    try:
        return future.result()
    except Exception as error:  # a model that cannot be sent to a process, say
        return FoldScore(error=one_line(error))


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Let processes that start in this block leave Ctrl-C to the one that starts them.

    A terminal sends it to all of them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _thread_errors_ignored(name: str) -> Iterator[None]:
    """Let threads of a name end in this block as they do, without a report.

    The one that manages processes stumbles over a task that an interrupt left half submitted.
    """
    before = threading.excepthook

    def report(error: threading.ExceptHookArgs) -> None:
        if error.thread is None or error.thread.name != name:
            before(error)

    threading.excepthook = report
    try:
        yield
    finally:
        threading.excepthook = before


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@cache
def _rows(path: Path) -> Floats:
    rows: Floats = np.load(path, mmap_mode="r")
    return rows


def _warm_up(path: Path) -> None:
    _rows(path)


def _score_from_file(path: Path, task: Task) -> FoldScore:
    return score_fold(_rows(path), task)


def score_fold(X: Floats, task: Task) -> FoldScore:
    """Fit one setting and score rows; an error is a result, and no warning escapes."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return _fit_and_score(X, task)
    except Exception as error:
        return FoldScore(error=one_line(error))


def _fit_and_score(X: Floats, task: Task) -> FoldScore:
    estimator = clone(task.estimator, safe=False)
    start = monotonic()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(np.asarray(X[task.train]))
    fitted = monotonic()
    scores = np.asarray(estimator.score_samples(np.asarray(X[task.test])), dtype=np.float64)
    if scores.shape != (len(task.test),):
        raise ValueError(f"score_samples gave shape {scores.shape} for {len(task.test)} rows")
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise ValueError("score_samples gave a log-density that is NaN or infinite")
    unconverged = any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    return FoldScore(scores, fitted - start, monotonic() - fitted, unconverged)


def one_line(error: Exception) -> str:
    """The kind of an error and its message, on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
