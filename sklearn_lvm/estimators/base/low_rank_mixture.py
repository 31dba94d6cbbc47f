"""Mixtures of Gaussians whose covariances may be of low rank plus noise."""

from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if

from ..._typing import Floats, Ints
from ...core.gaussian.covariance import Covariances, Structure
from ...core.gaussian.density import GaussianFamily, Gaussians
from ...core.gaussian.latent import latent_means
from ...core.gaussian.low_rank import MANY_FEATURES, MAX_PRIOR_FEATURES, LowRank
from ...core.gaussian.low_rank_covariances import LowRankCovariances
from ...core.gaussian.structure_names import COVARIANCE_TYPES, LOW_RANK
from ...core.mixture import Mixture
from ...core.rows import RowSource
from ...core.standardization import Standardization
from ...fitting.factor_counts import n_factors_for, n_factors_of_many_features
from .gaussian_mixture import MATRICES
from .gaussian_priors import is_matrix
from .standard_errors import GaussianMixtureWithErrors
from .transaction import warn
from .validation import result_dtype

OF_FACTORS = ("loadings_", "noise_variance_", "heywood_", "n_factors_")  # in place of matrices

ALL_COVARIANCE_TYPES = {*COVARIANCE_TYPES, *LOW_RANK}
AnyCovarianceType = Literal["full", "tied", "diag", "spherical", "factor", "ppca"]


def has_loadings(estimator: "LowRankMixture") -> bool:
    """Whether covariances are of low rank plus noise, as they were fitted, or will be.

    Raises
    ------
    AttributeError
        If they are not.
    """
    structure = getattr(estimator, "_structure", None)
    named = str(estimator.covariance_type) in LOW_RANK
    if isinstance(structure, LowRank) if structure is not None else named:
        return True
    raise AttributeError(
        f"latent needs covariances of loadings and noise, covariance_type='factor' or 'ppca', and "
        f"those of this mixture have none: it has covariance_type={estimator.covariance_type!r}. Set "
        "another, and fit again."
    )


def with_n_factors(structure: LowRank, q: object) -> LowRank:
    """The structure with a number of factors that a user gave.

    Raises
    ------
    ValueError
        If there are no such covariances.
    """
    d = structure.d
    whole = isinstance(q, Integral) and not isinstance(q, bool)
    if not (whole and 0 <= q <= d - 1):  # type: ignore[operator]
        raise ValueError(
            f"n_factors={q!r} must be an integer from 0 to n_features - 1 = {d - 1}, with n_features="
            f"{d}: lower it, or set covariance_type='full', the limit of many factors."
        )
    return replace(structure, q=int(q))  # type: ignore[call-overload]


def warn_of_more_than_identified(structure: LowRank) -> None:
    """Warn where loadings and noise have more free parameters than a full covariance."""
    if structure.q > structure.max_identified:
        warn(
            f"n_factors={structure.q} is more than {int(structure.max_identified)}, the most with "
            f"which loadings and noise of {structure.d} features have no more parameters than a full "
            "covariance (Ledermann, 1937): other loadings and noise give the same density. Lower it, "
            "or set covariance_type='full'.",
            UserWarning,
        )


class LowRankMixture(GaussianMixtureWithErrors):
    """Base of mixtures of Gaussians that have the parameter ``n_factors``."""

    n_components: int
    covariance_prior: Literal["auto"] | ArrayLike | None
    n_factors: int | Literal["auto"]

    loadings_: Floats
    noise_variance_: Floats
    heywood_: Ints
    n_factors_: int

    _kept_when_warm: ClassVar[str] = "n_components, covariance_type, n_factors"

    @available_if(has_loadings)
    def latent(self, X: ArrayLike) -> Floats:
        """Compute the expected latent coordinates of rows under each component, E[t | x, k].

        Under component k a row is x = m_k + W_k t + noise, with t ~ N(0, I) and noise of the variances
        Psi_k, so that E[t | x, k] = inv(I + W_k' inv(Psi_k) W_k) W_k' inv(Psi_k) (x - m_k) (Ghahramani
        & Hinton, 1996, equation 2). Only with ``covariance_type`` 'factor' or 'ppca'.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed: expected is what the other entries say.

        Returns
        -------
        latent : ndarray of shape (n_samples, n_components, n_factors)
            Without units, in the order of the columns of ``loadings_``; 0 for a row of which nothing
            was observed.

        Examples
        --------
        The expected coordinates give the direction in which rows spread:

        >>> import numpy as np
        >>> from sklearn_lvm import EMGaussianMixture
        >>> W, noise = np.array([[3.0], [4.0]]), 0.01 * np.eye(2)
        >>> line = EMGaussianMixture.from_parameters(
        ...     [1.0], [[0.0, 0.0]], [W @ W.T + noise], covariance_type="ppca", n_factors=1
        ... )
        >>> line.latent([[6.0, 8.0], [6.0, np.nan]]).round(2).ravel()
        array([2., 2.])
        """
        rows, gaussians = self._check_rows(X), self._gaussians(self._model)
        found = self._by_block(rows, lambda: lambda block: latent_means(gaussians, block))
        return np.ascontiguousarray(np.moveaxis(found, -1, 0), dtype=result_dtype(rows))

    # -- the number of factors -----------------------------------------------------------------------

    def _structure_of(self, d: int) -> Structure:
        if self.covariance_type not in LOW_RANK:
            return super()._structure_of(d)
        too_large = d > MAX_PRIOR_FEATURES and is_matrix(self.covariance_prior)
        projected = d >= MANY_FEATURES and not too_large
        structure = LOW_RANK[self.covariance_type](d, projected=projected)
        return structure if self._chooses_factors else with_n_factors(structure, self.n_factors)

    def _fit_transformation(self, X: Floats, w: Floats) -> Standardization:
        found = super()._fit_transformation(X, w)
        if isinstance(self._structure, LowRank):
            warn_of_more_than_identified(self._structure)
        return found

    def _structure_without_rows(self, d: int) -> Structure:
        """That of given covariances; the ValueError says that a number of factors must be given too."""
        structure = self._structure_of(d)
        if isinstance(structure, LowRank) and self._chooses_factors:
            raise ValueError(
                f"n_factors={self.n_factors!r} is chosen by rows, and from_parameters has none: give "
                f"the number of columns of W, an integer from 0 to n_features - 1 = {d - 1}."
            )
        return structure

    @property
    def _chooses_factors(self) -> bool:
        return isinstance(self.n_factors, str)

    def _keep_factors(self) -> None:
        """Of a warm start the number of factors is that of the last fit, unless it is given."""
        structure = self._structure
        if isinstance(structure, LowRank) and self._chooses_factors:
            most = structure.d - 1  # fewer than in a marginal or conditional, perhaps
            self._structure = replace(structure, q=min(getattr(self, "n_factors_", 0), most))

    def _choose_factors_of_many(self, rows: RowSource, strength: float = 0.0) -> None:
        """Choose the number of factors of many features, unless it is given.

        It is needed for the choice of a prior, and depends on how many observations that is worth.
        """
        structure = self._structure
        if isinstance(structure, LowRank) and structure.projected and self._chooses_factors:
            q = n_factors_of_many_features(rows, self.n_components, structure, strength)
            self._structure = replace(structure, q=q)

    def _choose_factors(self, rows: RowSource, family: GaussianFamily) -> None:
        """Choose the number of factors under the prior of the family, unless it is given."""
        structure = self._structure
        if isinstance(structure, LowRank) and self._chooses_factors:
            q = n_factors_for(rows, self.n_components, structure, family)
            self._structure = replace(structure, q=q)

    def _with_loadings(self, start: Mixture[Gaussians]) -> Mixture[Gaussians]:
        """A start from which EM of projected moments gets anywhere."""
        mean, covariance = start.components.mean, start.components.covariance
        if not (self._structure.projected and isinstance(covariance, LowRankCovariances)):
            return start
        return Mixture(start.log_weights, Gaussians(mean, covariance.with_least_loadings()))

    def _params_of_features(self, kept: Ints) -> dict[str, object]:
        found = super()._params_of_features(kept)
        if self._chooses_factors or not isinstance(self._structure, LowRank):
            return found
        return found | {"n_factors": min(self.n_factors, len(kept) - 1)}

    # -- what a user is told -------------------------------------------------------------------------

    def _described_covariances(self, covariance: Covariances) -> Mapping[str, object]:
        if not isinstance(covariance, LowRankCovariances):
            return super()._described_covariances(covariance)
        structure = covariance.structure
        assert isinstance(structure, LowRank)
        return {
            "loadings_": covariance.loadings.astype(self._dtype),
            "noise_variance_": structure.public_noise(covariance.noise).astype(self._dtype),
            "heywood_": covariance.at_floor.sum(axis=1),
            "n_factors_": structure.q,
        }

    def _matrices(self, name: str) -> Floats:
        model = getattr(self, "_model", None)
        if model is None:
            return super()._matrices(name)
        with np.errstate(all="ignore"):  # in extreme units
            covariance = self._gaussians(model).covariance.rescale(self._transformation.scale)
            return MATRICES[name](covariance).astype(self._dtype)

    def _set_fitted(self, attributes: Mapping[str, object]) -> None:
        """Set fitted attributes, and take away those that only another covariance_type has."""
        if "means_" in attributes:
            for name in (*MATRICES, *OF_FACTORS):
                self.__dict__.pop(name, None)
        super()._set_fitted(attributes)

    def _check_inside(self) -> None:
        if isinstance(self._structure, LowRank):
            raise ValueError(
                f"standard_errors of covariance_type={self.covariance_type!r} are not known: Gaussians "
                "of loadings and noise are no exponential family. Use bootstrap, which refits."
            )
        super()._check_inside()
