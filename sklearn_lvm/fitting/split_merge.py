"""Mixtures of one component more or less: a component in halves, or two components as one."""

import numpy as np

from .._typing import Floats, Ints
from ..core.family import C, S
from ..core.mixture import Mixture, normalize
from .clusters import Rng
from .sample import Sample
from .swaps import Swaps, gain_by_halves

MAX_PAIRS = 200  # of components that may be merged, those that overlap most


def splits(sample: Sample[C, S], model: Mixture[C], rng: Rng, n: int) -> list[Mixture[C]]:
    """Mixtures with one component in halves, at most n, those first that promise most.

    The halves of every component are fitted to its rows alone; by them the gain is known before any
    step of EM for the whole mixture (Ueda, Nakano, Ghahramani & Hinton, 2000).

    Parameters
    ----------
    sample : Sample
        The rows, with the steps of a mixture of one component more.
    model : Mixture
    rng : RandomState
    n : int

    Raises
    ------
    SingularCovarianceError
        If a covariance becomes singular.
    """
    joint = sample.joint(model)
    _, resp = normalize(joint.copy(), 1.0)
    halves = Swaps(sample).halves(model, joint, resp, rng)
    if halves is None:
        return []

    def split(i: int) -> Mixture[C]:
        k = halves.component[i]
        first, second = halves.shares[i]
        of_halves = np.vstack([resp, resp[k] * second])
        of_halves[k] *= first
        return _estimated(sample, model, np.append(np.arange(len(resp)), k), of_halves)

    best = np.argsort(-halves.gain, kind="stable")[:n]
    return [split(int(i)) for i in best]


def merges(sample: Sample[C, S], model: Mixture[C], n: int) -> list[Mixture[C]]:
    """Mixtures with two components as one, at most n, those first that lose least.

    Parameters
    ----------
    sample : Sample
        The rows, with the steps of a mixture of one component less.
    model : Mixture
    n : int

    Raises
    ------
    SingularCovarianceError
        If a covariance becomes singular.
    """
    joint = sample.joint(model)
    _, resp = normalize(joint.copy(), 1.0)
    first, second = _pairs(resp, sample.rows.w)
    gain = _gain_by_merges(sample, model, joint, resp, (first, second))

    def merged(i: int) -> Mixture[C]:
        of_merged = resp.copy()
        of_merged[first[i]] += of_merged[second[i]]
        kept = np.delete(np.arange(len(resp)), second[i])
        return _estimated(sample, model, kept, of_merged[kept])

    best = np.argsort(-gain, kind="stable")[:n]
    return [merged(int(i)) for i in best]


def _pairs(resp: Floats, w: Floats) -> tuple[Ints, Ints]:
    """Pairs of components; if they are many, those that share most of their rows."""
    first, second = np.triu_indices(len(resp), 1)
    if len(first) > MAX_PAIRS:
        root = np.sqrt(resp * w)
        overlap = (root @ root.T)[first, second]
        chosen = np.argsort(-overlap, kind="stable")[:MAX_PAIRS]
        first, second = first[chosen], second[chosen]
    return first, second


def _gain_by_merges(
    sample: Sample[C, S],
    model: Mixture[C],
    joint: Floats,
    resp: Floats,
    pairs: tuple[Ints, Ints],
) -> Floats:
    """Nats that all rows gain by each merge, mostly less than 0, if the others stay as they are."""
    first, second = pairs
    share, w = np.minimum(resp[first] + resp[second], 1.0), sample.rows.w
    components = _estimated(sample, model, first, share).components
    with np.errstate(divide="ignore", invalid="ignore"):
        merged = Mixture(np.log(share @ w / w.sum()), components)
        log_ratio = sample.joint(merged) - np.logaddexp(joint[first], joint[second])
    # Two components without weight are as good as one.
    return gain_by_halves(share, np.where(share > 0, log_ratio, 0.0), w)


def _estimated(sample: Sample[C, S], model: Mixture[C], similar: Ints, resp: Floats) -> Mixture[C]:
    """The mixture of the rows under responsibilities, each component similar to one of a model."""
    known = Mixture(np.zeros(len(similar)), model.components.subset(similar))
    kernel = sample.steps.family.kernel(known.components, known.log_weights)
    return sample.steps.m_step(sample.statistics(kernel, resp * sample.rows.w), known)
