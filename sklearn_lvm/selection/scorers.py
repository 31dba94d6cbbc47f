"""Information criteria as scorers for searches of scikit-learn."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

__all__ = ["bic_score", "icl_score"]


def bic_score(estimator: Any, X: ArrayLike, y: object = None) -> float:
    """Compute minus the Bayesian information criterion, as a scorer: greater is better.

    -bic = 2 log L - n_parameters_ log n (Schwarz, 1978). The penalty stands for rows held out: it needs
    the rows that were fitted, and all of them. Folds are for ``score``; here there is one "fold", in
    which all rows are fitted and scored.

    Parameters
    ----------
    estimator : estimator
        A fitted one that has ``bic``, such as :class:`~sklearn_lvm.EMGaussianMixture`.
    X : array-like of shape (n_samples, n_features)
        The rows that it was fitted to.
    y : Ignored

    Returns
    -------
    score : float

    Raises
    ------
    ValueError
        If the estimator has no ``bic``.

    See Also
    --------
    select_n_components : Which does the same for mixtures and PPCA, in less time.

    References
    ----------
    G. Schwarz, "Estimating the dimension of a model", Annals of Statistics 6 (1978), 461-464.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn_lvm import EMGaussianMixture, bic_score
    >>> X = np.concatenate([np.random.RandomState(0).normal(c, 1.0, (100, 2)) for c in (-4, 4)])
    >>> every = np.arange(len(X))
    >>> search = GridSearchCV(
    ...     EMGaussianMixture(random_state=0),
    ...     {"n_components": [1, 2, 3]},
    ...     scoring=bic_score,
    ...     cv=[(every, every)],
    ... ).fit(X)
    >>> search.best_params_
    {'n_components': 2}
    """
    return _negative("bic", estimator, X)


def icl_score(estimator: Any, X: ArrayLike, y: object = None) -> float:
    """Compute minus the integrated completed likelihood, as a scorer: greater is better.

    -icl = -bic - 2 sum_i H(p(k | x_i)) (Biernacki, Celeux & Govaert, 2000). As for ``bic_score``, X
    must be the rows that were fitted, and all of them. Folds are for ``score``; here there is one
    "fold", in which all rows are fitted and scored.

    Parameters
    ----------
    estimator : estimator
        A fitted mixture that has ``icl``.
    X : array-like of shape (n_samples, n_features)
        The rows that it was fitted to.
    y : Ignored

    Returns
    -------
    score : float

    Raises
    ------
    ValueError
        If the estimator has no ``icl``.

    See Also
    --------
    select_n_components : Which does the same for mixtures, in less time.

    References
    ----------
    C. Biernacki, G. Celeux & G. Govaert, "Assessing a mixture model for clustering with the integrated
    completed likelihood", IEEE Transactions on Pattern Analysis and Machine Intelligence 22 (2000),
    719-725.

    Examples
    --------
    It never exceeds ``bic_score``, and is near it where clusters lie apart:

    >>> import numpy as np
    >>> from sklearn_lvm import EMGaussianMixture, bic_score, icl_score
    >>> X = np.concatenate([np.random.RandomState(0).normal(c, 1.0, (100, 2)) for c in (-4, 4)])
    >>> mixture = EMGaussianMixture(2, random_state=0).fit(X)
    >>> 0.0 <= bic_score(mixture, X) - icl_score(mixture, X) < 0.1
    True
    """
    return _negative("icl", estimator, X)


def _negative(criterion: str, estimator: Any, X: ArrayLike) -> float:
    compute = getattr(estimator, criterion, None)
    if compute is None:
        raise ValueError(
            f"{type(estimator).__name__} has no {criterion}: {criterion}_score is for estimators that "
            f"have. A score of any density is that of its method score."
        )
    return -float(compute(X))
