"""Swaps: a component that is hardly missed is taken away, and one that holds two groups is halved.

EM moves components a little at a time. With two of them on one group of rows, and one on two groups,
it stays as it is.
"""

from dataclasses import dataclass
from typing import Generic

import numpy as np

from .._typing import Floats, Ints
from ..core.family import C, S
from ..core.linalg import without_failures
from ..core.mixture import Mixture, normalize
from ..core.mixture_batch import MixtureBatch, batch_m_step
from ..inference.problem import attempt
from ..inference.stopping import precision_of
from .clusters import Rng, cluster_centers, nearest
from .sample import Sample

STEPS_BEFORE, STEPS_AFTER = 3, 3  # E-steps before the first round of swaps, and after each of them
MAX_ROUNDS = 8
MIN_GAIN = 0.5  # of a round, in units of what the sample can tell
MAX_SWAPS = 4  # in a round, each of two components of its own
MIN_PROMISE = 0.3  # of a loss, which a swap must seem to gain to be tried
CUT_ROWS = 1 << 11  # by which the centers of two halves are found
LLOYD_STEPS = 2  # in which they are found
MIN_ROWS_PER_PARAMETER = 2.0  # of a component that is halved
MAX_SHARE = 1.0 - 1e-12  # of a row: no log-density falls to minus infinity without a component
MAX_LOG_RATIO = 100.0  # of densities: no exponential overflows


@dataclass(frozen=True, eq=False)
class Halves:
    """Components in halves, each a mixture of two that was fitted to the rows of the component.

    Attributes
    ----------
    component : ndarray of int of shape (G,)
        Which components; not all can be halved.
    shares : ndarray of shape (G, 2, n)
        Of each row of a component in its halves.
    gain : ndarray of shape (G,)
        Nats that all rows gain by each component in halves, about.
    """

    component: Ints
    shares: Floats
    gain: Floats


@dataclass(frozen=True, eq=False)
class Swaps(Generic[C, S]):
    """Swaps of components, judged by the rows of a sample.

    In each round the swaps that promise most are done, and a few steps of EM follow: split and merge
    EM (Ueda, Nakano, Ghahramani & Hinton, 2000), with a component taken away in place of a merge.

    Attributes
    ----------
    sample : Sample
    """

    sample: Sample[C, S]

    def improved(self, model: Mixture[C], rng: Rng) -> Mixture[C]:
        """The mixture after all rounds of swaps, until one gains too little."""
        model, _ = self.sample.run(model, STEPS_BEFORE)
        for _ in range(MAX_ROUNDS):
            following = attempt(self._round, model, rng)
            if following is None:
                break
            model = following
        return model

    def _round(self, model: Mixture[C], rng: Rng) -> Mixture[C] | None:
        """The mixture after some swaps and a few steps; None if these gain too little."""
        sample, steps, w = self.sample, self.sample.steps, self.sample.rows.w
        joint = sample.joint(model)
        log_prob, resp = normalize(joint.copy(), 1.0)
        halves = self.halves(model, joint, resp, rng)
        if halves is None:
            return None
        swaps = best_swaps(halves.gain, halves.component, loss_without(resp, w))
        if not swaps:
            return None
        for s, k in swaps:
            first, second = halves.shares[np.searchsorted(halves.component, s)]
            resp[k] = resp[s] * second
            resp[s] *= first
        kernel = steps.family.kernel(model.components, model.log_weights)
        swapped = steps.m_step(sample.statistics(kernel, resp * w), model)
        following, after = sample.run(swapped, STEPS_AFTER)
        before = (float(w @ log_prob) + steps.log_prior(model)) / w.sum()
        # A smaller gain means nothing, or is one that EM makes by itself.
        least = MIN_GAIN * precision_of(model.n_parameters(), sample.n_observations)
        return following if after > before + least else None

    def halves(self, model: Mixture[C], joint: Floats, resp: Floats, rng: Rng) -> Halves | None:
        """The components of many rows in halves, but for those that cannot be halved.

        Of the rows log p(k, z) and p(k | z) are known, (K, n).
        """
        n_rows = np.exp(model.log_weights) * self.sample.n_observations
        n_parameters = model.components.n_parameters() / len(n_rows)
        n_parameters /= self.sample.steps.family.n_parts
        component: Ints = np.flatnonzero(n_rows > MIN_ROWS_PER_PARAMETER * n_parameters)
        shares = resp[component] * self.sample.rows.w
        if not len(component):
            return None
        half = self._cut(shares, rng)

        def fitted(kept: Ints) -> tuple[Ints, MixtureBatch[C]]:
            pairs = self._fitted(model, component[kept], shares[kept], half[kept])
            return component[kept], pairs

        every = np.arange(len(component))
        component, pairs = without_failures(
            fitted, every, lambda kept, failed: np.delete(kept, failed // 2)
        )
        log_density = joint[component] - model.log_weights[component, None]
        log_density_of_halves, shares_of_halves = normalize(self.sample.joint(pairs), 1.0)
        log_ratio = log_density_of_halves - log_density
        gain = gain_by_halves(resp[component], log_ratio, self.sample.rows.w)
        return Halves(component, shares_of_halves, gain)

    def _cut(self, shares: Floats, rng: Rng) -> Ints:
        """Cut the rows of each component in two, by the nearest of two centers, (G, n)."""
        points = self.sample.rows.points()
        some = slice(None, None, -(-len(self.sample) // CUT_ROWS))
        centers = cluster_centers(points[some], shares[:, some], 2, LLOYD_STEPS, rng)
        return nearest(points, centers)

    def _fitted(
        self, model: Mixture[C], component: Ints, shares: Floats, half: Ints
    ) -> MixtureBatch[C]:
        """Mixtures of two, after a step of EM on the rows of each component alone."""
        (G, n), steps = shares.shape, self.sample.steps
        doubled = model.components.subset(np.repeat(component, 2))
        kernel = steps.family.kernel(doubled, np.zeros(2 * G))
        of_halves = (half[:, None] == np.arange(2)[:, None]) * shares[:, None]
        statistics = self.sample.statistics(kernel, of_halves.reshape(2 * G, n))
        pairs = batch_m_step(steps, statistics, G, doubled)
        return self.sample.em_step(pairs, shares)[1]


def loss_without(resp: Floats, w: Floats) -> Floats:
    """Nats that rows lose without each component, (K,), if the others take its rows as they are.

    Without component k, p(x) becomes (1 - r_k(x)) p(x), but for new weights.
    """
    shares = np.minimum(resp, MAX_SHARE)
    total = w.sum()
    weights = np.minimum(resp @ w / total, MAX_SHARE)
    return np.asarray(-np.log1p(-shares) @ w + total * np.log1p(-weights))


def gain_by_halves(resp: Floats, log_ratio: Floats, w: Floats) -> Floats:
    """Nats that rows gain by each component in halves, (G,), if the others stay as they are.

    With halves of density q in place of component k, of density p_k, p(x) becomes
    (1 - r_k(x) + r_k(x) q(x) / p_k(x)) p(x).
    """
    growth = resp * np.expm1(np.minimum(log_ratio, MAX_LOG_RATIO))
    return np.asarray(np.log1p(np.maximum(growth, -MAX_SHARE)) @ w)


def best_swaps(gain: Floats, component: Ints, loss: Floats) -> list[tuple[int, int]]:
    """Pairs of a component to be halved and one to be taken away, each once: those that gain most.

    The first is tried even if it seems to lose, unless by far: gain and loss do not know of the steps
    that follow.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.fitting.swaps import best_swaps
    >>> best_swaps(np.array([5.0, 1.0]), np.array([0, 2]), np.array([9.0, 3.0, 2.0, 7.0]))
    [(0, 2)]
    >>> best_swaps(np.array([5.0]), np.array([0]), np.array([9.0, 30.0]))
    []
    """
    net = np.where(gain[:, None] < MIN_PROMISE * loss, -np.inf, gain[:, None] - loss)
    net[np.arange(len(component)), component] = -np.inf
    swaps: list[tuple[int, int]] = []
    while len(swaps) < MAX_SWAPS and net.max() > (0.0 if swaps else -np.inf):
        i, k = np.unravel_index(net.argmax(), net.shape)
        swaps.append((int(component[i]), int(k)))
        for taken in swaps[-1]:
            net[component == taken], net[:, taken] = -np.inf, -np.inf
    return swaps
