"""VAEDensity: a variational autoencoder as a density."""

from collections.abc import Callable, Sequence
from os import PathLike
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from .._typing import Floats, RandomState, Table
from .base.importance_sampled import ScaledTransformation
from .base.training import TrainedDensity
from .base.vae_parameters import (
    CONSTRAINTS,
    DYNAMIC,
    SCALES,
    architecture_of,
    check_entries,
    check_same_architecture,
    transformation_of,
)
from .base.validation import FLOATS, check_columns, result_dtype

ROUND_TO = 4096.0  # parts of a deviation that training rows are rounded to, far below any variance
MISSING_TORCH = "VAEDensity needs torch: pip install 'sklearn-lvm[torch]' (or pip install torch)."

Likelihood = Literal["gaussian", "gaussian_shared", "gaussian_isotropic", "bernoulli"]
NetworkFactory = Callable[[int, int], Any]


def neural_fit() -> ModuleType:
    """The door of the neural wing, loaded when it is first needed."""
    try:
        from ..neural import fit
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "torch":
            raise
        raise ImportError(MISSING_TORCH) from missing
    return fit


class VAEDensity(TrainedDensity):
    """Variational autoencoder as a density: an infinite mixture, fitted through a bound.

    x | t ~ N(mu(t), diag s2(t)) with t ~ N(0, I_q), where mu and s2 are neural networks: the density
    is p(x) = E_t[p(x | t)]. An encoder proposes q(t | x) = N(m(x), diag v(x)), and training raises the
    evidence lower bound

        log p(x) >= E_q[log p(x | t)] - KL(q(t | x) || p(t))

    (Kingma & Welling, 2014, equation 3). With t_j ~ q and k samples, the importance-weighted bound
    log 1/k sum_j p(x, t_j) / q(t_j | x) lies between the two and rises with k (Burda, Grosse &
    Salakhutdinov, 2016, theorem 1); ``score_samples`` is that bound, by the same noise at each call.

    An entry that is NaN was not observed. The encoder sees a row filled up and what was missing; the
    likelihood counts what was observed (Mattei & Frellsen, 2019).

    Parameters
    ----------
    n_components : int, default=None
        q, the number of latent variables. None for half the number of columns, but at least 2 and at
        most 50: with a variance of its own for each entry given t, what entries have in common is
        left to t, and two latent variables, though good for pictures, are few.
    likelihood : {'gaussian', 'gaussian_shared', 'gaussian_isotropic', 'bernoulli'}, default='gaussian'
        p(x | t): a mean and a variance of each entry from the decoder; means, and one learned
        variance for each feature; means, and one variance for all, which with
        ``hidden_layer_sizes=()`` is :class:`PPCA`; or ones and zeros. The likelihood of a Gaussian
        whose variance may vanish has no bound: no variance falls below 1e-4 of that of its feature
        (of the features' mean variance with 'gaussian_isotropic').
    hidden_layer_sizes : array-like of shape (n_layers - 2,), default=(64, 64)
        Units of the hidden layers of the encoder; the decoder has them in reverse. () is linear.
        With ``network='conv'`` the channels after each stage, which halves both sides of the image.
    activation : {'identity', 'logistic', 'tanh', 'relu'}, default='tanh'
        Between layers.
    network : {'mlp', 'conv'}, default='mlp'
        Dense layers, or convolutions for rows that are images.
    image_shape : tuple of int, default=None
        (height, width) or (channels, height, width) of a row, for ``network='conv'``.
    encoder, decoder : callable, default=None
        A function of the numbers of inputs and outputs that returns a ``torch.nn.Module`` to be used
        instead: of rows (n, d) to means and log-variances (n, 2 q), and of latent variables (n, q) to
        (n, m), where m is 2 d with 'gaussian' (means, then log-variances) and d otherwise.
    n_importance_samples : int, default=1
        k of the bound that training raises; 1 is the evidence lower bound.
    beta : float, default=1.0
        What the divergence counts in training. Scores do not depend on it but through the weights.
    learning_rate : float, default=3e-3
        Of Adam, at first. It is halved on a plateau.
    batch_size : int, default=100
        Rows of a step.
    max_iter : int, default=500
        The most epochs.
    early_stopping : bool, default=True
        Whether a part of the rows is set aside to decide when to stop. Otherwise training rows do.
    validation_fraction : float, default=0.1
        How many rows are set aside.
    n_iter_no_change : int, default=50
        Epochs without a gain of ``tol`` after which training ends. The rate drops thrice on the way.
    tol : float, default=1e-3
        Gain of the bound, in nats per row in standard units.
    n_score_samples : int, default=64
        Importance samples of ``score_samples``, ``score`` and ``impute``.
    binarize : float, 'dynamic' or None, default=None
        For 'bernoulli': entries above it are ones, others zeros. With None X must hold nothing but
        0, 1 and NaN. 'dynamic' takes grey levels in [0, 1] for probabilities, and draws the ones of
        each row anew in each epoch; elsewhere than in ``fit`` levels above one half are ones.
    device : str, default='auto'
        Where torch computes: 'cpu', 'cuda', 'cuda:1', ...; 'auto' is CUDA where there is some.
    precision : {'float32', 'bf16'}, default='float32'
        Of matrix products in training. Scores are computed in float64.
    compile : bool, default=False
        Whether ``torch.compile`` makes one program of a step. That takes seconds at first, and on the
        CPU a C++ compiler; small networks seldom earn it back.
    checkpoint : str or path-like, default=None
        A file to which the training is saved every few epochs, and from which ``fit`` goes on, bit for
        bit.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights, and in the units, of the fit before.
    random_state : int, RandomState instance or None, default=None
        Decides first weights, splits, batches, and the noise of training and of scores; used by
        ``sample``.
    verbose : int, default=0
        With 1 a line for each epoch.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_features,)
        What rows are standardized by. Only for Gaussian likelihoods.
    noise_variance_ : ndarray of shape (n_features,) or (1,)
        The variance given t, in squared units of the data. Only with 'gaussian_shared' and
        'gaussian_isotropic'.
    history_ : dict of list of float
        Of each epoch the mean bound of the training rows during it ('bound'), that of the validation
        rows under the running average of the weights ('validation_bound'), both of standardized rows,
        and the 'learning_rate'. The weights of the highest 'validation_bound' are kept.
    n_components_ : int
        q.
    n_iter_ : int
        Epochs.
    n_parameters_ : int
        Parameters of the density: those of the decoder.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    Warns
    -----
    ConvergenceWarning
        If training ended because the bound was not finite again and again.

    See Also
    --------
    PPCA : Its linear case, in closed form.
    EMGaussianMixture : A mixture of finitely many Gaussians.

    Notes
    -----
    The bound is below log p(x) by half the variance of a weight over the number of samples,
    approximately, in relative terms; ``log_evidence`` gives its standard error for each row. Rows share
    the noise, so the error of a mean score is to be had from several ``random_state`` of
    ``log_evidence``, not from the errors of rows.

    References
    ----------
    D. P. Kingma & M. Welling, Auto-encoding variational Bayes, ICLR 2014.

    Y. Burda, R. Grosse & R. Salakhutdinov, Importance weighted autoencoders, ICLR 2016.

    P.-A. Mattei & J. Frellsen, MIWAE: deep generative modelling and imputation of incomplete data sets,
    ICML 2019.

    Examples
    --------
    A ring has no density among the Gaussians; its middle is empty:

    >>> import numpy as np
    >>> from sklearn_lvm import VAEDensity
    >>> angle = np.random.RandomState(0).uniform(0, 2 * np.pi, 400)
    >>> ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> ring += 0.1 * np.random.RandomState(1).normal(size=ring.shape)
    >>> model = VAEDensity(n_importance_samples=5, random_state=0).fit(ring)
    >>> on, inside = model.score_samples([[1.0, 0.0], [0.0, 0.0]])
    >>> bool(on > inside + 2)
    True

    A row of which nothing was observed is certain:

    >>> model.score_samples([[np.nan, np.nan]])
    array([0.])
    """

    _parameter_constraints = CONSTRAINTS
    _checks = {"dtype": FLOATS, "ensure_all_finite": "allow-nan"}  # noqa: RUF012

    mean_: Floats
    scale_: Floats
    noise_variance_: Floats

    def __init__(
        self,
        n_components: int | None = None,
        *,
        likelihood: Likelihood = "gaussian",
        hidden_layer_sizes: Sequence[int] = (64, 64),
        activation: Literal["identity", "logistic", "tanh", "relu"] = "tanh",
        network: Literal["mlp", "conv"] = "mlp",
        image_shape: Sequence[int] | None = None,
        encoder: NetworkFactory | None = None,
        decoder: NetworkFactory | None = None,
        n_importance_samples: int = 1,
        beta: float = 1.0,
        learning_rate: float = 3e-3,
        batch_size: int = 100,
        max_iter: int = 500,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 50,
        tol: float = 1e-3,
        n_score_samples: int = 64,
        binarize: float | Literal["dynamic"] | None = None,
        device: str = "auto",
        precision: Literal["float32", "bf16"] = "float32",
        compile: bool = False,
        checkpoint: str | PathLike[str] | None = None,
        warm_start: bool = False,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.likelihood = likelihood
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.network = network
        self.image_shape = image_shape
        self.encoder = encoder
        self.decoder = decoder
        self.n_importance_samples = n_importance_samples
        self.beta = beta
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.n_score_samples = n_score_samples
        self.binarize = binarize
        self.device = device
        self.precision = precision
        self.compile = compile
        self.checkpoint = checkpoint
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    # -- training ----------------------------------------------------------------------------------

    _neural_fit = staticmethod(neural_fit)

    def _check_entries(self, X: Table) -> None:
        check_entries(X, self.likelihood, self.binarize)

    def _measured(self, rows: Floats, weight: Floats) -> ScaledTransformation:
        return transformation_of(rows, weight, self.likelihood, self.binarize)

    def _architecture(self, d: int, *, warm: bool) -> dict[str, object]:
        """The architecture of both networks; that of the last fit if it is continued."""
        architecture = architecture_of(self.get_params(deep=False), d)
        if warm:
            check_same_architecture(architecture, self._density.architecture)
        return architecture

    def _training_rows(self, rows: Floats, weight: Floats) -> object:
        """Standardized rows, rounded so that no unit shows in them."""
        grey = self.binarize == DYNAMIC
        Z = rows if grey else self._standardized(rows)
        if SCALES[self.likelihood] is not None:
            Z = np.rint(Z * ROUND_TO) / ROUND_TO
        return self._neural_fit().TrainingRows(Z, weight, grey)

    def _attributes(self, training: Any) -> dict[str, object]:
        """The fitted attributes of the best weights so far."""
        density, transformation = training.density(), self._transformation
        found = {
            "_density": density,
            "history_": training.history(),
            "n_components_": density.architecture.n_components,
            "n_iter_": training.n_epochs,
            "n_parameters_": density.model.generative_parameters(),
        }
        if SCALES[self.likelihood] is not None:
            center: Any = transformation
            found["mean_"] = center.center.astype(self._dtype)
            found["scale_"] = transformation.scale.astype(self._dtype)
        if (noise := density.noise_variance()) is not None:
            with np.errstate(all="ignore"):  # squares of extreme units overflow
                scale = transformation.scale[: len(noise)]
                found["noise_variance_"] = (noise * np.square(scale)).astype(self._dtype)
        return found

    # -- rows --------------------------------------------------------------------------------------

    def transform(self, X: ArrayLike) -> Floats:
        """Compute the mean of the latent variables under the encoder's posterior.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        T : ndarray of shape (n_samples, n_components)
        """
        rows = self._check_rows(X)
        latent: Floats = self._density.latent(self._standardized(rows))
        return latent.astype(result_dtype(rows))

    def inverse_transform(self, T: ArrayLike) -> Floats:
        """Compute the mean of the rows that belong to latent variables, E[x | t].

        Parameters
        ----------
        T : array-like of shape (n_samples, n_components)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            In the units of the data; probabilities of ones with 'bernoulli'.
        """
        check_is_fitted(self)
        latent = check_columns(T, "T", self.n_components_)
        rows = self._transformation.inverse_transform(self._density.decode(latent))
        return rows.astype(latent.dtype)

    def reconstruct(self, X: ArrayLike) -> Floats:
        """Compute what the decoder makes of the posterior mean of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            ``inverse_transform(transform(X))``.
        """
        return self.inverse_transform(self.transform(X))

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
