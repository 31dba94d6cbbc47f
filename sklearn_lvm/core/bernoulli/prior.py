"""Beta priors that a table itself suggests: pseudo-observations that are spread as its columns are."""

from collections.abc import Sequence

import numpy as np

from .beta import BetaPosterior
from .counts import Counts

# Of the way from the share of ones in a column to one half, so that what was never seen is possible.
# On held-out rows a tenth is as good as less or more; symmetric priors are worse where rows are few.
SHRINKAGE = 0.1
# No prior is smaller, however small a unit of weight is: log-gamma functions are finite from here on.
SMALLEST = 1e-300
# Pseudo-observations that are worth a try: few suit many narrow components, many suit few rows.
STRENGTHS = tuple(2.0**i for i in range(-2, 6))


def column_prior(total: Counts, strength: float, flat: float = 1.0) -> BetaPosterior:
    """The prior that is worth some observations, of ones and zeros nearly as the columns have them.

    Parameters
    ----------
    total : Counts
        Of one set of rows, (1, d).
    strength : float
        The observations that it is worth, in units of weight.
    flat : float, default=1.0
        What alpha and beta are of a prior that is worth none: 1 if a mode is estimated, 0 if a mean is.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.bernoulli.counts import Counts
    >>> from sklearn_lvm.core.bernoulli.prior import column_prior
    >>> total = Counts(np.full(1, 10.0), np.array([[10.0, 5.0]]), np.array([[0.0, 5.0]]))
    >>> prior = column_prior(total, 2.0)
    >>> prior.alpha, prior.beta
    (array([[2.9, 2. ]]), array([[1.1, 2. ]]))
    """
    share = total.share_of_ones
    center = share + SHRINKAGE * (0.5 - share)
    shares = center, 1.0 - center
    return BetaPosterior(*(np.maximum(flat + strength * part, SMALLEST) for part in shares))


def side_by_side(priors: Sequence[BetaPosterior], n_components: int) -> BetaPosterior:
    """Priors (1, d) of the densities of several mixtures, those of one after those of another."""
    alpha, beta = (
        np.concatenate(p) for p in zip(*((p.alpha, p.beta) for p in priors), strict=True)
    )
    return BetaPosterior(np.repeat(alpha, n_components, 0), np.repeat(beta, n_components, 0))
