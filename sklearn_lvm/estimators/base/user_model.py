"""What a user says of a model, and the density that it has."""

from typing import Any, Self

import numpy as np

from ..._typing import Floats, Ints
from ...fitting.latent_variable_model import Theta, UserEStep
from .exact import InformationCriteria


class UserDensity(UserEStep):
    """The density of a theta, as estimators keep one."""

    def kernel(self) -> Self:
        return self

    def sample(self, n: int, rng: np.random.RandomState) -> tuple[Floats, Floats | Ints]:
        model: Any = self.functions
        drawn = model.draw(self.theta, n, rng)
        X, latent = drawn if isinstance(drawn, tuple) else (drawn, np.empty(0))
        if np.shape(X) != (n, model.n_features_in_):
            raise ValueError(
                f"draw must return rows of shape ({n}, {model.n_features_in_}), got {np.shape(X)}."
            )
        return np.asarray(X, dtype=np.float64), np.asarray(latent)


class UserModel(InformationCriteria):
    """Base of models that users write: the methods that they write, and the defaults of these."""

    def start(self, X: Floats, weight: Floats, rng: np.random.RandomState) -> Theta:
        """Choose where a run begins.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
            Distinct rows in the order of their content, at most 8192.
        weight : ndarray of shape (n,)
            Their weights; equal rows have added theirs.
        rng : RandomState

        Returns
        -------
        theta : dict of ndarray
        """
        raise NotImplementedError(f"{type(self).__name__} has no method start.")

    def expect(self, theta: Theta, X: Floats, weight: Floats) -> tuple[Any, Floats]:
        """Measure a block of rows under the posterior of their latent variables.

        Parameters
        ----------
        theta : dict of ndarray
        X : ndarray of shape (n, n_features)
        weight : ndarray of shape (n,)

        Returns
        -------
        statistics : dict of ndarray, or a value with ``+`` and ``*`` by a number
            Expected sufficient statistics, summed over rows by weight.
        log_evidence : ndarray of shape (n,)
            log p(x | theta) of each row, in nats, without weights.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method expect.")

    def maximize(self, statistics: Any, theta: Theta) -> Theta:
        """Find the theta that maximizes the expected log p(x, z | theta) + log p(theta).

        Parameters
        ----------
        statistics : object
            Those of all rows.
        theta : dict of ndarray
            The one that they were measured under.

        Returns
        -------
        theta : dict of ndarray
            With the names and shapes of the last one.
        """
        raise NotImplementedError(f"{type(self).__name__} has no method maximize.")

    def log_prior(self, theta: Theta) -> float:
        """Compute what the objective adds to the log-likelihood of all rows: 0 without a prior.

        Parameters
        ----------
        theta : dict of ndarray

        Returns
        -------
        log_prior : float
            In nats, up to a constant.
        """
        return 0.0

    def draw(
        self, theta: Theta, n: int, rng: np.random.RandomState
    ) -> Floats | tuple[Floats, Floats | Ints]:
        """Draw rows; without this method there is no ``sample``.

        Parameters
        ----------
        theta : dict of ndarray
        n : int
        rng : RandomState

        Returns
        -------
        X : ndarray of shape (n, n_features), or a pair of it and the latent variables
        """
        raise NotImplementedError(f"{type(self).__name__} has no method draw, which sample needs.")

    def latent(self, theta: Theta, X: Floats) -> Floats:
        """Estimate the latent variables of rows; without this method there is no ``transform``.

        Parameters
        ----------
        theta : dict of ndarray
        X : ndarray of shape (n, n_features)

        Returns
        -------
        latent : ndarray of shape (n, n_latent)
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no method latent, which transform needs."
        )

    def n_parameters(self, theta: Theta) -> int:
        """Count the free parameters: all entries of theta, unless a subclass knows better.

        Parameters
        ----------
        theta : dict of ndarray

        Returns
        -------
        n_parameters : int
        """
        return sum(np.size(part) for part in theta.values())
