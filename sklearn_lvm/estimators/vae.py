"""A variational autoencoder as a density: an infinite mixture of Gaussians, or of coins."""

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from numbers import Integral, Real
from os import PathLike
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted

from .._compat import CallbackSupportMixin, Interval, StrOptions
from .._typing import Array
from ..core.rows import canonical_with_missing
from .base.density import DensityEstimator
from .base.transaction import transactional, warn
from .base.vae_parameters import (
    DYNAMIC,
    SCALES,
    check_entries,
    check_same_networks,
    plan_networks,
    transformation,
)
from .base.validation import FLOATS, result_dtype

GRAIN = 4096.0  # training rows are rounded to this part of a deviation, far below any variance
WATCHED = 1000  # training rows that are watched where none are set aside
SAVE_EVERY = 5  # epochs between two checkpoints
MISSING_TORCH = "VAEDensity needs torch: pip install 'sklearn-lvm[torch]' (or pip install torch)."


def _neural() -> SimpleNamespace:
    """The neural wing, loaded when it is first needed."""
    try:
        from ..neural import density, nets, records, training
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] != "torch":
            raise
        raise ImportError(MISSING_TORCH) from missing
    return SimpleNamespace(density=density, nets=nets, records=records, training=training)


# What of a fit may differ from that of a checkpoint.
FREE = {"max_iter", "n_score_samples", "device", "checkpoint", "verbose", "warm_start"}


class VAEDensity(CallbackSupportMixin, DensityEstimator):
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
        What rows are standardised by. Only for Gaussian likelihoods.
    noise_variance_ : ndarray of shape (n_features,) or (1,)
        The variance given t, in squared units of the data. Only with 'gaussian_shared' and
        'gaussian_isotropic'.
    history_ : dict of list of float
        Of each epoch the mean bound of the training rows on the way ('bound'), that of the watched
        rows under the running average of the weights ('watched_bound'), both in standard units, and
        the 'learning_rate'. The weights of the highest 'watched_bound' are kept.
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
        If training ended because the bound was no number again and again.

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "likelihood": [StrOptions(set(SCALES))],
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions({"identity", "logistic", "tanh", "relu"})],
        "network": [StrOptions({"mlp", "conv"})],
        "image_shape": ["array-like", None],
        "encoder": [callable, None],
        "decoder": [callable, None],
        "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_score_samples": [Interval(Integral, 1, None, closed="left")],
        "binarize": [Interval(Real, None, None, closed="neither"), StrOptions({DYNAMIC}), None],
        "device": [str],
        "precision": [StrOptions({"float32", "bf16"})],
        "compile": ["boolean"],
        "checkpoint": [str, PathLike, None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    _checks: ClassVar[dict[str, Any]] = {"dtype": FLOATS, "ensure_all_finite": "allow-nan"}

    _transformation: Any
    _density: Any
    _seed: int

    def __init__(
        self,
        n_components: int | None = None,
        *,
        likelihood: str = "gaussian",
        hidden_layer_sizes: Any = (64, 64),
        activation: str = "tanh",
        network: str = "mlp",
        image_shape: Any = None,
        encoder: Callable[[int, int], Any] | None = None,
        decoder: Callable[[int, int], Any] | None = None,
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
        binarize: Any = None,
        device: str = "auto",
        precision: str = "float32",
        compile: bool = False,
        checkpoint: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
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
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train both networks and keep the best weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of two equals a row given twice.

        Returns
        -------
        self : VAEDensity

        Raises
        ------
        ImportError
            If torch is not installed.
        ValueError
            If there are fewer than two distinct rows, a column has no observed entry, entries do not
            suit the likelihood, or a checkpoint is of another fit.

        Warns
        -----
        ConvergenceWarning
            If training ended because the bound was no number again and again.
        """
        neural = _neural()
        X, w = self._check_training(X, sample_weight)
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        warm = self.warm_start and hasattr(self, "_density")
        plan = self._plan(neural, X.shape[1], warm=warm)
        rows, weight = self._distinct(X, w)
        standardization = (
            self._transformation
            if warm
            else transformation(rows, weight, self.likelihood, self.binarize)
        )
        marks = self._marks(neural, rows, weight)
        state = None if self.checkpoint is None else neural.records.read(self.checkpoint, marks)
        self._seed = self._new_seed() if state is None else state["counters"]["seed"]
        tables = [
            self._rows(neural, standardization, rows[part], weight[part])
            for part in self._split(rows)
        ]
        trainer = self._trainer(neural, plan, *tables)
        if warm:
            trainer.begin_from(self._density.weights)
        if state is not None:
            trainer.restore(state)
        save = partial(neural.records.write, self.checkpoint, marks)
        attributes = partial(self._attributes, neural, trainer, standardization, result_dtype(X))
        self._run(trainer, attributes, save, {"X": X, "y": y, "metadata": metadata})
        self._set_fitted(attributes())
        self.__dict__.pop("_stream", None)
        if trainer.failed:
            warn(
                f"Training ended after {trainer.epoch} epochs: {trainer.strikes} times the bound was "
                "no number. The best weights are kept; lower learning_rate.",
                ConvergenceWarning,
            )
        return self

    def _run(
        self,
        trainer: Any,
        attributes: Callable[[], dict[str, Any]],
        save: Callable[[Any], None],
        data: dict[str, Any],
    ) -> None:
        """Train, in sight of callbacks."""
        context = self._init_callback_context(max_subtasks=self.max_iter)
        context.call_on_fit_task_begin(estimator=self, **data)
        report = {"estimator": self, "reconstruction_attributes": attributes, **data}
        stop = False
        while not (trainer.finished or stop):
            epoch = context.subcontext(task_name="epoch")
            epoch.call_on_fit_task_begin(estimator=self, **data)
            trainer.advance()
            if self.verbose:
                print(trainer)
            if self.checkpoint is not None and (trainer.finished or not trainer.epoch % SAVE_EVERY):
                save(trainer.state())
            stop = bool(epoch.call_on_fit_task_end(**report))
        context.call_on_fit_task_end(**report)

    @transactional
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch on these rows; the first call decides the units for all.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : VAEDensity
        """
        neural = _neural()
        self._validate_params()  # which scikit-learn leaves out where a stream goes on
        first = not hasattr(self, "_density")
        X, w = self._check_training(X, sample_weight, reset=first)
        plan = self._plan(neural, X.shape[1], warm=not first)
        rows, weight = self._distinct(X, w)
        standardization = (
            transformation(rows, weight, self.likelihood, self.binarize)
            if first
            else self._transformation
        )
        self._seed = self._new_seed() if first else self._seed
        trainer = self._trainer(
            neural, plan, *[self._rows(neural, standardization, rows, weight)] * 2
        )
        self._take_up(neural, trainer)
        trainer.stream()
        self._set_fitted(self._attributes(neural, trainer, standardization, result_dtype(X)))
        self._stream = neural.records.as_arrays(trainer.state())
        return self

    def _take_up(self, neural: Any, trainer: Any) -> None:
        """Go on with a stream, or from a fit."""
        if hasattr(self, "_stream"):
            trainer.restore(neural.records.as_tensors(self._stream))
        elif hasattr(self, "_density"):
            trainer.begin_from(self._density.weights)

    def _distinct(self, X: Array, w: Array) -> tuple[Array, Array]:
        """Distinct rows and their weights, in an order that only they decide."""
        check_entries(X, self.likelihood, self.binarize)
        found = canonical_with_missing(X, w)
        return X[found.index], found.weight

    def _plan(self, neural: Any, d: int, *, warm: bool) -> Any:
        """What both networks are built from."""
        plan = plan_networks(neural.nets.Plan, self.get_params(deep=False), d)
        if warm:
            check_same_networks(plan, self._density.plan)
        return plan

    def _new_seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _trainer(self, neural: Any, plan: Any, learned: Any, watched: Any) -> Any:
        names = [field.name for field in fields(neural.training.Recipe)]
        recipe = neural.training.Recipe(**{name: getattr(self, name) for name in names})
        model = neural.nets.build(plan, self._seed).to(learned.x.device)
        return neural.training.Trainer(model, learned, watched, recipe, self._seed)

    def _split(self, rows: Array) -> tuple[Array, Array]:
        """Which of the distinct rows are learned from, and which are watched."""
        m = len(rows)
        order = np.random.RandomState(self._seed).permutation(m)
        if not self.early_stopping:
            return np.arange(m), np.sort(order[:WATCHED])
        aside = min(max(1, round(self.validation_fraction * m)), m - 1)
        return np.sort(order[aside:]), np.sort(order[:aside])

    def _rows(self, neural: Any, standardization: Any, rows: Array, weight: Array) -> Any:
        """Rows in standard units on the device, rounded so that no unit shows in them."""
        grey = self.binarize == DYNAMIC
        Z = rows if grey else standardization.transform(rows).T
        return neural.training.Rows.of(
            np.rint(Z * GRAIN) / GRAIN if SCALES[self.likelihood] is not None else Z,
            weight,
            grey=grey,
            device=neural.density.device_of(self.device),
        )

    def _marks(self, neural: Any, rows: Array, weight: Array) -> dict[str, str]:
        """What a checkpoint must agree in."""
        given = {name: value for name, value in self.get_params().items() if name not in FREE}
        return {
            "data": neural.records.fingerprint([rows, weight]),
            "parameters": repr(sorted(given.items())),
        }

    def _attributes(
        self, neural: Any, trainer: Any, standardization: Any, dtype: Any
    ) -> dict[str, Any]:
        """What is fitted, once the best weights so far are taken for good."""
        weights = neural.records.as_arrays(trainer.best)
        density = neural.density.NeuralDensity(trainer.plan, weights, self.device)
        found = {
            "_density": density,
            "_transformation": standardization,
            "_dtype": dtype,
            "history_": {name: list(values) for name, values in trainer.history.items()},
            "n_components_": trainer.plan.n_components,
            "n_iter_": trainer.epoch,
            "n_parameters_": density.model.generative_parameters(),
        }
        if SCALES[self.likelihood] is not None:
            found |= {
                "mean_": standardization.center.astype(dtype),
                "scale_": standardization.scale.astype(dtype),
            }
        if (noise := density.noise_variance()) is not None:
            with np.errstate(all="ignore"):  # squares of extreme units are no numbers
                scale = standardization.scale[: len(noise)]
                found["noise_variance_"] = (noise * np.square(scale)).astype(dtype)
        return found

    # -- what is said of rows ------------------------------------------------------------------------

    def _standard(self, X: Array) -> Array:
        """Rows in standard units, (n, d)."""
        return self._transformation.transform(X).T

    def _log_jacobian(self, X: Array) -> Array:
        """Of what was observed, (n,)."""
        return (~np.isnan(X)) @ np.log(self._transformation.scale)

    def _noise(self, n_samples: Any, random_state: Any = None) -> Array:
        """Standard normal numbers that all rows share, (k, q)."""
        k = self.n_score_samples if n_samples is None else n_samples
        if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
            raise ValueError(f"n_samples must be an integer of at least 1, got {n_samples!r}.")
        rng = check_random_state(self._seed if random_state is None else random_state)
        return rng.standard_normal((int(k), self.n_components_))

    def _check_rows(self, X: Any) -> Array:
        X = super()._check_rows(X)
        check_entries(X, self.likelihood, self.binarize)
        return X

    def _log_prob(self, X: Array) -> Array:
        found = self._density.evidence(self._standard(X), self._noise(None))
        return found[:, 0] - self._log_jacobian(X)

    def score_samples(self, X: Any) -> Array:
        """Compute a lower bound of the log-density of each row, by importance sampling.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed: the score is that of the other entries, and 0 without any.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            log 1/k sum_j p(x, t_j) / q(t_j | x) with k = ``n_score_samples``, in nats, in the units of
            the data. The same at each call, whatever the other rows are.
        """
        return super().score_samples(X)

    def log_evidence(
        self, X: Any, n_samples: int | None = None, *, random_state: Any = None
    ) -> tuple[Array, Array]:
        """Compute the importance-weighted bound of each row, and its Monte Carlo standard error.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_samples : int, default=None
            Importance samples; None for ``n_score_samples``. In expectation the bound rises with them
            towards log p(x).
        random_state : int, RandomState instance or None, default=None
            None for the noise of ``score_samples``.

        Returns
        -------
        log_prob, error : ndarray of shape (n_samples,)
            In nats. Rows share the noise: their errors are not independent.
        """
        X = self._check_rows(X)
        noise = self._noise(n_samples, random_state)
        bound, error = self._density.evidence(self._standard(X), noise).T
        dtype = result_dtype(X)
        return (bound - self._log_jacobian(X)).astype(dtype), error.astype(dtype)

    def elbo(self, X: Any, n_samples: int | None = None, *, random_state: Any = None) -> Array:
        """Compute the evidence lower bound of each row, the divergence in closed form.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_samples : int, default=None
            Samples of the first term; None for ``n_score_samples``.
        random_state : int, RandomState instance or None, default=None
            None for the noise of ``score_samples``.

        Returns
        -------
        elbo : ndarray of shape (n_samples,)
            E_q[log p(x | t)] - KL(q(t | x) || p(t)) in nats, in the units of the data.
        """
        X = self._check_rows(X)
        bound = self._density.elbo(self._standard(X), self._noise(n_samples, random_state))
        return (bound - self._log_jacobian(X)).astype(result_dtype(X))

    def transform(self, X: Any) -> Array:
        """Compute the mean of the latent variables under the encoder's posterior.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        T : ndarray of shape (n_samples, n_components)
        """
        X = self._check_rows(X)
        return self._density.latent(self._standard(X)).astype(result_dtype(X))

    def inverse_transform(self, T: Any) -> Array:
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
        T = check_array(T, dtype=FLOATS, input_name="T")
        q = self.n_components_
        if T.shape[1] != q:
            raise ValueError(f"T has {T.shape[1]} columns, expected {q}.")
        return self._transformation.inverse_transform(self._density.decode(T)).astype(T.dtype)

    def reconstruct(self, X: Any) -> Array:
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

    def impute(self, X: Any, n_samples: int | None = None, *, random_state: Any = None) -> Array:
        """Replace what was not observed by what is expected, given what was.

        E[x_missing | x_observed] by self-normalised importance weights (Mattei & Frellsen, 2019,
        equation 12).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_samples : int, default=None
            Importance samples; None for ``n_score_samples``.
        random_state : int, RandomState instance or None, default=None
            None for the noise of ``score_samples``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            A copy without NaN; with 'bernoulli' probabilities of ones take their place.
        """
        X = self._check_rows(X)
        noise = self._noise(n_samples, random_state)
        filled, missing = X.copy(), np.isnan(X)
        some = missing.any(axis=1)
        if some.any():
            expected = self._transformation.inverse_transform(
                self._density.impute(self._standard(X[some]), noise)
            )
            filled[missing] = expected[missing[some]]
        return filled

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
