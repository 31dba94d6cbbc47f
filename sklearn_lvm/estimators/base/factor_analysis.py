"""The base of factor analysis: the density of factors and noise, its fit, and latent coordinates."""

from typing import cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ..._typing import Floats, Ints
from ...core.family import PartialComponents
from ...core.gaussian.density import Gaussians
from ...core.gaussian.factor_analyzer import FactorAnalyzer
from ...core.gaussian.full import Full
from ...core.gaussian.kernels import row_width
from ...core.gaussian.low_rank import LowRank
from ...core.gaussian.low_rank_covariances import LowRankCovariances
from ...core.gaussian.prior import GaussianPrior
from ...core.gaussian.rotation import ORTHOMAX, canonical, ordered, rotated
from ...core.linalg import SingularCovarianceError
from ...core.mixture import Mixture
from ...core.standardization import Standardization
from ...fitting.factor_analysis import FactorProblem
from ...fitting.one_gaussian import ColumnSummary, IncompleteTable
from .closed_form import NoDensityError, of_density
from .conditioning import Restriction
from .gaussian_priors import prior_of_covariances
from .moments import MomentsEstimator, OneGaussianRows, variances_of
from .transaction import warn
from .validation import check_columns, too_few_rows

CONSTANT = "a variance is zero"


class FactorAnalysisDensity(MomentsEstimator[FactorAnalyzer]):
    """x = W t + mu + noise: how it is fitted, and what the fitted density says of rows."""

    _parameter_names = ("mean_", "noise_variance_")
    _correlated = "where columns are correlated"
    _remedy_of_batches = "call fit with all rows at once."
    _of_density = (
        "components_",
        "loadings_",
        "noise_variance_",
        "n_components_",
        "heywood_",
        "n_parameters_",
        "log_likelihood_",
        "loglike_",
        "n_iter_",
        "converged_",
    )

    n_components: int | None
    covariance_prior: ArrayLike | None
    degrees_of_freedom_prior: float | None
    rotation: str | None

    components_: Floats
    loadings_: Floats
    noise_variance_: Floats
    n_components_: int
    heywood_: int
    log_likelihood_: float
    loglike_: list[float]
    n_iter_: int
    converged_: bool

    # -- fitting -----------------------------------------------------------------------------------

    def _structure(self) -> Full:
        return Full(self.n_features_in_)

    @property
    def _by_column(self) -> bool:
        return False

    def _fit_rows(self, X: Floats, w: Floats) -> None:
        self._given_dimension()
        super()._fit_rows(X, w)
        if not isinstance(self._statistics, IncompleteTable):
            self._warn_of_run()

    def _check_batch(self, X: Floats) -> None:
        super()._check_batch(X)
        self._given_dimension()

    def _given_dimension(self) -> int | None:
        """The number of factors if it is given, which few columns may not leave room for.

        Raises
        ------
        ValueError
            If it is above n_features - 1.

        Warns
        -----
        UserWarning
            If other loadings and noise give the same density.
        """
        if self.n_components is None:
            return None
        q, d = int(self.n_components), self.n_features_in_
        if q > d - 1:
            raise ValueError(
                f"n_components={q}, but X has n_features={d}: it can be at most n_features - 1 = "
                f"{d - 1}. Lower it; a covariance of any form is that of GaussianMLE."
            )
        most = int(LowRank(d).max_identified)
        if q > most:
            warn(
                f"n_components={q} is more than the {most} with which loadings and noise of {d} "
                "features have no more free parameters than a full covariance (Ledermann, 1937): other "
                "values of them give the same density. Lower it, or use GaussianMLE.",
                UserWarning,
            )
        return q

    def _warn_of_run(self) -> None:
        if not getattr(self, "converged_", True):
            warn(
                f"the fit had not converged after max_iter={self.max_iter} iterations. Raise max_iter "
                "or tol.",
                ConvergenceWarning,
            )

    # -- the density -------------------------------------------------------------------------------

    def _estimate(self, rows: OneGaussianRows, standardization: Standardization) -> FactorAnalyzer:
        assert not isinstance(rows, ColumnSummary)
        self._check_spread(rows, too_few_rows("FactorAnalysis", 1))
        prior = self._prior(standardization)
        problem = FactorProblem(
            None if self.n_components is None else int(self.n_components),
            self._added(rows, standardization, prior),
            prior,
            float(self.tol),
            int(self.max_iter),
        )
        try:
            run = problem.solved(rows)
        except SingularCovarianceError as singular:
            cause = self._cause("the covariance is singular", singular)
            raise NoDensityError(f"{cause}; raise reg_covar, or drop these features.") from None
        level = rows.log_jacobian(standardization)
        objectives = [rows.n_rows * value - level for value in run.trace]
        self._set_fitted(
            {
                "log_likelihood_": problem.log_likelihood(rows, run, standardization),
                "loglike_": objectives[1:] or objectives,
                "n_iter_": max(run.n_iter, 1),
                "converged_": run.converged,
            }
        )
        return self._turned(run.model)

    def _added(
        self, rows: OneGaussianRows, standardization: Standardization, prior: GaussianPrior | None
    ) -> Floats:
        """What reg_covar adds to each variance; using the density warns where that is all there is."""
        constant = np.flatnonzero(variances_of(rows) == 0)
        if len(constant) and prior is None:
            singular = SingularCovarianceError(0, tuple(constant.tolist()))
            cause = self._cause(CONSTANT, singular)
            remedy = "set reg_covar > 0, or drop these features."
            return self._share_of_variances(rows, standardization, cause, remedy)
        return self._added_to_each(rows, standardization)

    def _prior(self, standardization: Standardization) -> GaussianPrior | None:
        """The prior of the covariance that is given, if one is."""
        if self.covariance_prior is None:
            if self.degrees_of_freedom_prior is not None:
                raise ValueError(
                    f"degrees_of_freedom_prior={self.degrees_of_freedom_prior:g} needs a "
                    "covariance_prior, a matrix: give both, or leave both out."
                )
            return None
        d = self.n_features_in_
        flat = GaussianPrior(Full(d), np.zeros((1, d, d)), np.zeros(1), np.zeros(d))
        return prior_of_covariances(
            self.covariance_prior, self.degrees_of_freedom_prior, standardization, flat
        )

    def _turned(self, gaussians: Gaussians) -> FactorAnalyzer:
        """The density with loadings in a canonical form, or turned as ``rotation`` says."""
        C = gaussians.covariance
        assert isinstance(C, LowRankCovariances)
        noise = C.noise[0]
        loadings = canonical(C.loadings[0], noise)
        if self.rotation is not None:
            turned = rotated(loadings, np.sqrt(C.variances[0]), ORTHOMAX[self.rotation])
            loadings = ordered(turned, noise)
        covariance = LowRankCovariances(C.structure, loadings[None], C.noise, C.least_noise)
        return FactorAnalyzer(gaussians.mean[0], covariance)

    def _described(
        self, density: FactorAnalyzer, rows: OneGaussianRows, standardization: Standardization
    ) -> dict[str, object]:
        return self._described_density(density, standardization)

    @np.errstate(all="ignore")  # squares of extreme units overflow
    def _described_density(
        self, density: FactorAnalyzer, standardization: Standardization
    ) -> dict[str, object]:
        """Fitted attributes of a density, whatever it was made of."""
        scale, dtype = standardization.scale, self._dtype
        loadings = (density.loadings * scale[:, None]).astype(dtype)
        return {
            "mean_": self._mean(density.mean, standardization),
            "components_": np.ascontiguousarray(loadings.T),
            "loadings_": loadings,
            "noise_variance_": (density.noise * scale**2).astype(dtype),
            "n_components_": loadings.shape[1],
            "heywood_": int(np.count_nonzero(density.covariance.at_floor)),
            "n_parameters_": density.n_parameters(),
        }

    def _restricted(self, kept: Ints, restrict: Restriction) -> dict[str, object]:
        density, units = restrict(self._density_or_raise()), self._transformation.of_features(kept)
        return {**self._described_density(density, units), **of_density(density, units)}

    def _params_of_features(self, kept: Ints) -> dict[str, object]:
        found, freedom = super()._params_of_features(kept), self.degrees_of_freedom_prior
        if self.n_components is not None:
            found |= {"n_components": min(int(self.n_components), len(kept) - 1)}
        if freedom is not None:  # as many pseudo-rows as before
            found |= {"degrees_of_freedom_prior": freedom + self.n_features_in_ - len(kept)}
        return found

    def _refit_params(self, weight: float) -> dict[str, object]:
        return {"n_components": self.n_components_}

    # -- rows --------------------------------------------------------------------------------------

    @property
    def _mixture(self) -> Mixture[PartialComponents]:
        return cast(Mixture[PartialComponents], self._density_or_raise().mixture)

    def _width(self) -> int:
        return row_width(self._structure(), 1)

    @np.errstate(all="ignore")  # in extreme units
    def _in_units_of_data(self) -> LowRankCovariances:
        check_is_fitted(self)
        return self._density_or_raise().covariance.rescale(self._transformation.scale)

    def get_covariance(self) -> Floats:
        """Compute W W' + diag(psi).

        Returns
        -------
        covariance : ndarray of shape (n_features, n_features)
        """
        return self._in_units_of_data().matrix[0].astype(self._dtype)

    def get_precision(self) -> Floats:
        """Compute the inverse of the covariance.

        Returns
        -------
        precision : ndarray of shape (n_features, n_features)
        """
        return self._in_units_of_data().precision[0].astype(self._dtype)

    def transform(self, X: ArrayLike) -> Floats:
        """Compute the posterior mean of the factors, E[t | x].

        It is inv(I + W' inv(Psi) W) W' inv(Psi) (x - mu), with Psi = diag(psi). Of a row of which only
        the entries x_o were observed, it is E[t | x_o]; 0 if there is none.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Without units, in the order of the columns of ``loadings_``.
        """
        rows, density = self._check_rows(X), self._density_or_raise()
        latent = self._by_block(rows, lambda: density.latent_mean)
        return np.ascontiguousarray(latent.T, dtype=rows.dtype)

    def inverse_transform(self, Z: ArrayLike) -> Floats:
        """Compute the mean of a row given its factors, E[x | t] = W t + mu.

        It is no projection: ``inverse_transform(transform(X))`` is nearer to the mean than X.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        density = self._density_or_raise()
        latent = check_columns(Z, "Z", self.n_components_)
        with np.errstate(over="ignore"):  # rows that are no floating point numbers are infinite
            rows = density.expected(latent.astype(np.float64))
            return self._transformation.inverse_transform(rows).astype(latent.dtype)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_
