"""VAEDensity, a variational autoencoder as a density estimator."""

from collections.abc import Callable
from os import PathLike
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from .._compat import CallbackSupportMixin
from .._typing import Floats, RandomState, Weights
from .base.docs import documented
from .base.epochs import run_epochs
from .base.fingerprint import fingerprint
from .base.importance_sampled import ImportanceSampledDensity
from .base.transaction import transactional, warn
from .base.vae_parameters import (
    CONSTRAINTS,
    DYNAMIC,
    Binarize,
    Likelihood,
    RowTransformation,
    architecture_of,
    check_entries,
    check_same_architecture,
    distinct_rows,
    options_of,
    scale_attributes,
    training_rows,
    transformation_of,
)
from .base.validation import result_dtype

if TYPE_CHECKING:
    from ..neural.fit import FitResult, NeuralDensity, Problem

MISSING_TORCH = "VAEDensity needs torch: pip install 'sklearn-lvm[torch]' (or pip install torch)."


def _neural() -> ModuleType:
    """The module that fits networks, imported when it is first needed."""
    try:
        from ..neural import fit
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "torch":
            raise
        raise ImportError(MISSING_TORCH) from missing
    return fit


class VAEDensity(CallbackSupportMixin, ImportanceSampledDensity):
    """Variational autoencoder as a density: an infinite mixture, fitted through a bound.

    x | t ~ N(mu(t), diag s2(t)) with t ~ N(0, I_q), where mu and s2 are neural networks: the density
    is p(x) = E_t[p(x | t)]. An encoder proposes q(t | x) = N(m(x), diag v(x)), and training maximizes
    the evidence lower bound

        log p(x) >= E_q[log p(x | t)] - KL(q(t | x) || p(t))

    (Kingma & Welling, 2014, equation 3). With t_j ~ q and k samples, the importance-weighted bound
    log 1/k sum_j p(x, t_j) / q(t_j | x) lies between the two and rises with k (Burda, Grosse &
    Salakhutdinov, 2016, theorem 1). ``score_samples`` is that bound, with the same noise at each call;
    ``log_evidence`` gives its standard error too.

    NaN is a missing entry. The encoder takes the row, with zeros in place of missing entries, and the
    mask; the likelihood counts the observed entries (Mattei & Frellsen, 2019).

    Parameters
    ----------
    n_components : int, default=None
        q, the number of latent variables. None for half the number of columns, but at least 2 and at
        most 50.
    likelihood : {'gaussian', 'gaussian_shared', 'gaussian_isotropic', 'bernoulli'}, default='gaussian'
        p(x | t): a mean and a variance of each entry from the decoder; means, and one learned
        variance for each feature; means, and one variance for all, which with
        ``hidden_layer_sizes=()`` is :class:`PPCA`; or ones and zeros. No variance falls below 1e-4 of
        that of its feature (with 'gaussian_isotropic', of their mean): else there is no maximum.
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
        (n, m), where m is 2 d with 'gaussian' (means, then log-variances) and d otherwise. It is tried
        with two rows before training.
    n_importance_samples : int, default=1
        k of the bound that training maximizes; 1 is the evidence lower bound.
    beta : float, default=1.0
        Factor of the divergence in training; scores are bounds without it.
    learning_rate : float, default=5e-3
        Initial learning rate of Adam. It is halved when the bound stalls.
    batch_size : int, default=100
        Rows of a step.
    max_iter : int, default=500
        The most epochs.
    early_stopping : bool, default=True
        Whether some rows are set aside for validation. Otherwise training rows decide when to stop.
    validation_fraction : float, default=0.1
        The share of the rows that are set aside.
    n_iter_no_change : int, default=30
        Epochs without a gain of ``tol`` that end training; the learning rate is halved on the way.
    tol : float, default=1e-3
        Gain of the bound, in nats per standardized row.
    n_score_samples : int, default=64
        Importance samples of ``score_samples``, ``score`` and ``impute``.
    binarize : float, 'dynamic' or None, default=None
        For 'bernoulli': entries above it are ones, others zeros. None is for X of 0, 1 and NaN alone.
        'dynamic' takes entries in [0, 1] as probabilities, and draws ones from them in each epoch;
        methods other than ``fit`` take entries above one half as ones.
    device : str, default='auto'
        Where torch computes: 'cpu', 'cuda', 'cuda:1', ...; 'auto' is CUDA if it is available.
    precision : {'float32', 'bf16'}, default='float32'
        Of matrix products in training. Scores are computed in float64.
    compile : bool, default=False
        Whether steps use ``torch.compile``. It takes seconds at first, and on the CPU a C++ compiler;
        small networks seldom earn it back.
    checkpoint : str or path-like, default=None
        A file to which training is saved every few epochs, and which ``fit`` continues, bit for bit.
    warm_start : bool, default=False
        Whether ``fit`` begins from the weights and the units of the previous fit.
    random_state : int, RandomState instance or None, default=None
        Determines initial weights, validation rows, batches and noise; used by ``sample``.
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
        Of each epoch 'bound', the mean bound of the training rows during it; 'validation_bound', that
        of the validation rows at its end, under a running average of the weights; both for
        standardized rows; and 'learning_rate'. The weights of the highest 'validation_bound' are kept.
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
        If training ended because the bound was not finite in too many epochs.

    See Also
    --------
    PPCA : Its linear case, in closed form.
    EMGaussianMixture : A mixture of finitely many Gaussians.

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

    A row without observed entries has probability one:

    >>> model.score_samples([[np.nan, np.nan]])
    array([0.])
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = CONSTRAINTS

    mean_: Floats
    scale_: Floats
    noise_variance_: Floats
    history_: dict[str, list[float]]
    n_iter_: int
    _density: "NeuralDensity"
    _transformation: RowTransformation
    _training_state: object  # what partial_fit continues from
    _fitted_entries: tuple[Likelihood, Binarize]  # which parameters may say otherwise since

    def __init__(
        self,
        n_components: int | None = None,
        *,
        likelihood: Likelihood = "gaussian",
        hidden_layer_sizes: ArrayLike = (64, 64),
        activation: Literal["identity", "logistic", "tanh", "relu"] = "tanh",
        network: Literal["mlp", "conv"] = "mlp",
        image_shape: ArrayLike | None = None,
        encoder: Callable[[int, int], object] | None = None,
        decoder: Callable[[int, int], object] | None = None,
        n_importance_samples: int = 1,
        beta: float = 1.0,
        learning_rate: float = 5e-3,
        batch_size: int = 100,
        max_iter: int = 500,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 30,
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

    # -- fitting -----------------------------------------------------------------------------------

    @transactional
    @documented
    def fit(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> Self:
        """Train encoder and decoder and keep the best weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN is missing.
        y : Ignored
        {sample_weight}

        Returns
        -------
        self : VAEDensity

        Raises
        ------
        ImportError
            If torch is not installed.
        ValueError
            If there are fewer than two distinct rows, a column has no observed entry, entries do not
            suit the likelihood, a network has other numbers of inputs or outputs, or a checkpoint is
            of another fit, damaged, or cannot be written.

        Warns
        -----
        ConvergenceWarning
            If training ended because the bound was not finite in too many epochs.
        """
        neural = _neural()
        table, w = self._check_training(X, sample_weight)
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        previous = self._density if self.warm_start and hasattr(self, "_density") else None
        rows, weight = distinct_rows(table, w, self.likelihood, self.binarize)
        problem, transformation = self._problem(rows, weight, previous)
        with neural.start(
            problem,
            new_seed=self._new_seed,
            validation_fraction=self.validation_fraction if self.early_stopping else None,
            checkpoint=self.checkpoint,
            fingerprint=fingerprint(rows, weight, self.get_params(deep=False)),
        ) as training:

            def attributes() -> dict[str, object]:
                return self._attributes(training.result(), transformation, table)

            run_epochs(self, training, attributes, {"X": table, "y": y, "metadata": metadata})
            result = training.result()
        self._set_fitted(self._attributes(result, transformation, table))
        self.__dict__.pop("_training_state", None)  # of partial_fit
        if result.failed:
            warn(
                f"Training ended after {result.n_iter} epochs: {result.n_failures} times the bound "
                "was no number. The best weights are kept; lower learning_rate.",
                ConvergenceWarning,
            )
        return self

    @transactional
    @documented
    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> Self:
        """Train for one epoch on rows, NaN being missing; the first call decides the standardization.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        {sample_weight}

        Returns
        -------
        self : VAEDensity
        """
        neural = _neural()
        self._validate_params()  # scikit-learn validates them in the first call only
        previous = getattr(self, "_density", None)
        table, w = self._check_training(X, sample_weight, reset=previous is None)
        rows, weight = distinct_rows(table, w, self.likelihood, self.binarize)
        problem, transformation = self._problem(rows, weight, previous)
        seed = self._new_seed() if previous is None else self._seed
        result = neural.partial_fit(problem, seed=seed, state=vars(self).get("_training_state"))
        self._set_fitted(self._attributes(result, transformation, table))
        self._training_state = result.state
        return self

    def _problem(
        self, rows: Floats, weight: Floats, previous: "NeuralDensity | None"
    ) -> tuple["Problem", RowTransformation]:
        """The networks to be fitted to distinct rows, and the standardization of the rows."""
        neural, params = _neural(), self.get_params(deep=False)
        architecture = architecture_of(neural.Architecture, params, rows.shape[1])
        if previous is None:
            transformation = transformation_of(rows, weight, self.likelihood, self.binarize)
        else:
            check_same_architecture(architecture, previous.architecture)
            transformation = self._transformation
        problem = neural.Problem(
            training_rows(rows, transformation, self.likelihood, self.binarize),
            weight,
            architecture,
            options_of(neural.TrainingOptions, params),
            self.device,
            probabilities=self.binarize == DYNAMIC,
            previous=previous,
        )
        return problem, transformation

    def _refit_params(self, weight: float) -> dict[str, object]:
        return {"warm_start": True, "checkpoint": None, "verbose": 0}

    def _new_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _attributes(
        self, result: "FitResult", transformation: RowTransformation, X: Floats
    ) -> dict[str, object]:
        """The fitted attributes, by name."""
        density, dtype = result.density, result_dtype(X)
        return {
            "_density": density,
            "_transformation": transformation,
            "_dtype": dtype,
            "_seed": result.seed,
            "_fitted_entries": (self.likelihood, self.binarize),
            "history_": result.history,
            "n_components_": density.architecture.n_components,
            "n_iter_": result.n_iter,
            "n_parameters_": density.model.generative_parameters(),
            **scale_attributes(transformation, density.noise_variance(), dtype),
        }

    def _check_rows(self, X: ArrayLike) -> Floats:
        rows: Floats = super()._check_rows(X)
        check_entries(rows, *self._fitted_entries)
        return rows
