"""Factor analysis as a density estimator."""

from numbers import Integral, Real
from typing import ClassVar, Literal

from numpy.typing import ArrayLike

from .._compat import RANDOM_STATE, Interval, StrOptions
from .._typing import RandomState
from ..core.gaussian.rotation import ORTHOMAX
from .base.factor_analysis import FactorAnalysisDensity
from .base.one_gaussian import EM_CONSTRAINTS


class FactorAnalysis(FactorAnalysisDensity):
    """Factor analysis: a Gaussian whose columns are correlated by few factors.

    x = W t + mu + noise with t ~ N(0, I_q) and noise ~ N(0, Psi), Psi = diag(psi), hence x ~ N(mu, C)
    with C = W W' + Psi. Each column has noise of its own, so that no unit is larger than another:
    :class:`PPCA`, whose noise is the same in all columns, wants one common unit.

    mu is the weighted mean. W and psi maximize -(log|C| + tr(inv(C) S)) / 2, with S the covariance of
    the rows (divided by N, the sum of the weights). Given psi the best W is known: with (l_m, u_m) the
    eigenpairs of Psi^-1/2 S Psi^-1/2, its columns are sqrt(l_m - 1) Psi^1/2 u_m of the q largest l_m,
    as far as these exceed 1. What remains is a function of log psi whose derivatives have a closed
    form, and it is maximized by Newton's method, of more than 100 columns by L-BFGS-B (Joreskog, 1967).
    There may be several maxima: the best of three runs is kept, of more than 50 columns that of the
    best start.

    NaN was not observed. Rows with such entries are fitted by expectation-maximization, to a maximum of
    the likelihood of what was observed.

    Parameters
    ----------
    n_components : int or None, default=None
        q, from 0 to n_features - 1; 0 is a Gaussian of independent columns. None takes as many as the
        rows show: those whose eigenvalues exceed what noise alone would show in so many rows (parallel
        analysis: Horn, 1965). The weights count as rows. Of rows with NaN it counts those of a full
        covariance found by expectation-maximization.
    reg_covar : float, default=1e-6
        reg_covar * s_j**2 is added to each variance in S, s_j**2 being the column's own variance, or
        the median of the others' where it is constant. No psi_j falls below it. The likelihood is often
        highest where some are there, which ``heywood_`` counts: Heywood cases. With 0 no psi_j falls
        below 1e-8 s_j**2.
    covariance_prior : array-like of shape (n_features, n_features), default=None
        Psi0, the scale of an inverse-Wishart prior of the covariance, in the units of the data, as for
        :class:`EMGaussianMixture`: S is that of the rows and of pseudo-rows of this scatter. None is
        maximum likelihood.
    degrees_of_freedom_prior : float, default=None
        nu0, of that prior: it is worth nu0 + n_features + 2 rows. Given only with ``covariance_prior``.
    rotation : {'varimax', 'quartimax'} or None, default=None
        How W is turned, which changes no density. None leaves the columns orthogonal in units of the
        noise, those first that explain more of it. 'varimax' makes columns have few large entries
        (Kaiser, 1958), 'quartimax' rows, both of entries divided by the standard deviation of their row
        under the model. The largest such entry of a column is positive.
    tol : float, default=1e-9
        The fit ends when the estimated remaining gain is below it, in nats per row.
    max_iter : int, default=1000
        The most iterations.
    random_state : int, RandomState instance or None, default=None
        Used by ``sample``.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        W'.
    loadings_ : ndarray of shape (n_features, n_components)
        W.
    noise_variance_ : ndarray of shape (n_features,)
        psi.
    mean_ : ndarray of shape (n_features,)
    n_components_ : int
        q.
    heywood_ : int
        How many entries of psi are the least that they may be.
    n_parameters_ : int
        2 d + d q - q (q - 1) / 2.
    log_likelihood_ : float
        The log-likelihood of all rows in total, of what was observed of them, in nats.
    loglike_ : list of float
        What the fit raises, after each iteration: that of the model less n tr(E inv(C)) / 2, with E
        the variances that ``reg_covar`` added, and the logarithm of the prior but for constants. It
        never falls.
    n_iter_ : int
        Iterations of the run that was kept.
    converged_ : bool
    n_samples_seen_ : int or float
        The summed weight of all rows so far.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    Warns
    -----
    CovarianceWarning
        If a column is constant; its variance is what ``reg_covar`` adds.
    ConvergenceWarning
        If the fit had not converged after ``max_iter`` iterations.
    UserWarning
        If ``n_components`` is above Ledermann's bound: then other W and psi give the same density.

    See Also
    --------
    PPCA : The same with noise that all columns share, in closed form.
    EMGaussianMixture : Several of them, with covariance_type='factor'.
    sklearn.decomposition.FactorAnalysis : Without weights, NaN, batches and samples.

    References
    ----------
    K. G. Joreskog, Some contributions to maximum likelihood factor analysis (1967), Psychometrika 32.

    J. L. Horn, A rationale and test for the number of factors in factor analysis (1965), Psychometrika
    30.

    H. F. Kaiser, The varimax criterion for analytic rotation in factor analysis (1958), Psychometrika
    23.

    W. Ledermann, On the rank of the reduced correlational matrix in multiple-factor analysis (1937),
    Psychometrika 2.

    Examples
    --------
    Two factors move ten columns, each of which has noise of its own:

    >>> import numpy as np
    >>> from sklearn_lvm import PPCA, FactorAnalysis
    >>> rng = np.random.RandomState(0)
    >>> W, noise = rng.normal(size=(10, 2)), rng.uniform(0.1, 2.0, 10)
    >>> X = rng.normal(size=(500, 2)) @ W.T + np.sqrt(noise) * rng.normal(size=(500, 10))
    >>> model = FactorAnalysis().fit(X)
    >>> model.n_components_, model.n_parameters_
    (2, 39)
    >>> print(f"{np.abs(model.noise_variance_ - noise).max():.1f}")
    0.2

    Another unit of one column adds the logarithm of the unit to every score, and changes nothing else.
    That is not so of :class:`PPCA`:

    >>> unit = np.append(np.ones(9), 1000.0)
    >>> for estimator in (FactorAnalysis(2), PPCA(2)):
    ...     change = estimator.fit(unit * X).score(unit * X) - estimator.fit(X).score(X)
    ...     print(f"{change + np.log(1000.0):.2f}")
    0.00
    -1.25

    The likelihood is no lower than that of scikit-learn's estimator, whose columns on the floor take
    many more iterations than it has by default:

    >>> from sklearn.datasets import load_wine
    >>> from sklearn.decomposition import FactorAnalysis as Peer
    >>> wine = load_wine().data
    >>> wine = (wine - wine.mean(axis=0)) / wine.std(axis=0)
    >>> model = FactorAnalysis(5).fit(wine)
    >>> bool(model.score(wine) > Peer(5).fit(wine).score(wine) + 0.05), model.heywood_
    (True, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "n_components": [Interval(Integral, 0, None, closed="left"), None],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
        "covariance_prior": ["array-like", None],
        "degrees_of_freedom_prior": [Interval(Real, None, None, closed="neither"), None],
        "rotation": [StrOptions(set(ORTHOMAX)), None],
        **EM_CONSTRAINTS,
        "random_state": RANDOM_STATE,
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        reg_covar: float = 1e-6,
        covariance_prior: ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        rotation: Literal["varimax", "quartimax"] | None = None,
        tol: float = 1e-9,
        max_iter: int = 1000,
        random_state: RandomState = None,
    ) -> None:
        self.n_components = n_components
        self.reg_covar = reg_covar
        self.covariance_prior = covariance_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.rotation = rotation
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
