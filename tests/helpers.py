"""What tests of several rooms share: small problems of EM, a recorder of iterations, scales."""

import numpy as np

from sklearn_lvm.inference.block_map import ThreadMap, slices_of
from sklearn_lvm.inference.em import Callback, run_em
from sklearn_lvm.inference.problem import Problem

N, D, K = 200, 2, 3
BLOCK_SIZE = 16  # rows: several groups of blocks


def problem_of(family, seed, added_variance):
    """Steps, a start, rows (n, d), weights and blocks."""
    rng = np.random.default_rng(seed)
    rows = family.clustered_rows(rng.integers(0, K, N), D, rng)
    w = rng.uniform(0.1, 2.0, N)
    steps = family.steps(np.full(D, added_variance))
    resp = rng.dirichlet(np.ones(K), N).T
    start = steps.m_step(steps.family.statistics(family.block(rows), resp * w))
    blocks = [(family.block(rows[part]), w[part]) for part in slices_of(N, BLOCK_SIZE)]
    return steps, start, rows, w, blocks


def run(steps, start, blocks, how=run_em, **options):
    with ThreadMap() as block_map:
        problem = Problem(steps, blocks, block_map)
        return how(problem, start, **{"max_iter": 15, "tol": 0.0, **options})


class Recorder(Callback):
    """Keeps every state of a run that it is shown."""

    def __init__(self, until=np.inf):
        self.begun, self.ended, self.until = [], [], until

    def begin(self, run):
        self.begun.append(run)

    def end(self, run):
        self.ended.append(run)
        return len(self.ended) >= self.until


def scale_of(x, w=None):
    """The standard deviation of the values within ten distances between the 1 % and 99 % quantiles of
    these, for columns in which no cumulated weight is just 1 % or 99 %."""
    w = np.ones(len(x)) if w is None else w
    order = np.argsort(x)
    reached = np.cumsum(w[order]) / w.sum()
    low, high = x[order][np.searchsorted(reached, [0.01 * (1 - 1e-9), 0.99 * (1 - 1e-9)])]
    reach = 10 * (high - low) if low < high else np.inf
    kept = (x >= low - reach) & (x <= high + reach)
    mean = np.average(x[kept], weights=w[kept])
    return np.sqrt(np.average((x[kept] - mean) ** 2, weights=w[kept]))
