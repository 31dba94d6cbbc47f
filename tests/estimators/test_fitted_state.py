"""What a fitted estimator says depends on its fit, not on parameters that were set afterwards."""

from contextlib import nullcontext

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from .specs import clouds, every_coin, every_exact, every_mixture, weights

N, D = 120, 3

# Parameters, each with two legal values: one of them differs from that of any fit.
OTHERS = {
    "n_components": (5, 4),
    "covariance_type": ("diag", "spherical"),
    "n_factors": (2, 1),
    "reg_covar": (0.5, 0.25),
    "solver": ("em", "svd"),
    "covariance_prior": (None, "auto"),
    "degrees_of_freedom_prior": (5.0, None),
    "mean_prior": (np.ones(D), None),
    "mean_precision_prior": (3.0, 5.0),
    "tol": (0.5, 0.25),
    "max_iter": (3, 2),
    "n_init": (7, 6),
    "acceleration": (None, "squarem"),
    "init_params": ("random", "k-means++"),
    "weights_init": (np.full(5, 0.2), None),
    "means_init": (np.zeros((5, D)), None),
    "precisions_init": (np.ones(5), None),
    "probabilities_init": (np.full((5, D), 0.5), None),
    "alpha": (3.0, np.full(D, 5.0)),
    "beta": (3.0, np.full(D, 5.0)),
    "weight_concentration_prior": (3.0, 5.0),
    "weight_concentration_prior_type": ("dirichlet_process", "dirichlet_distribution"),
    "priors": ("fixed", "empirical"),
    "inference": ("mle", "map"),
    "binarize": (1.5, -1.5),
    "rotation": ("varimax", "quartimax"),
    "random_state": (3, 4),
    "n_jobs": (2, -1),
    "warm_start": (True, False),
    "verbose": (2, 1),
    "verbose_interval": (3, 4),
}


def changed(model):
    """The same estimator with another legal value of every parameter."""
    for name, value in model.get_params().items():
        first, second = OTHERS[name]
        model.set_params(**{name: second if np.array_equal(value, first) else first})
    return model


def said(model, X, w):
    """What all methods of a fitted estimator return; the random state is a parameter of samples."""
    found = {
        "score_samples": model.score_samples(X),
        "score": model.score(X, sample_weight=w),
        "bic": model.bic(X, w),
        "aic": model.aic(X, w),
        "transform": (Z := model.transform(X)),
        "names": model.get_feature_names_out(),
        "table": model.set_output(transform="pandas").transform(X).to_numpy(),
    }
    model.set_output(transform="default")
    found["rows"], found["latent"] = model.sample(9, random_state=0, return_latent=True)
    for name in ("predict", "predict_proba", "icl"):
        if hasattr(model, name):
            found[name] = getattr(model, name)(X)
    if hasattr(model, "inverse_transform"):
        found["inverse_transform"] = model.inverse_transform(Z)
    if hasattr(model, "get_covariance"):
        found["covariance"], found["precision"] = model.get_covariance(), model.get_precision()
    if hasattr(model, "posterior_"):
        found["low"], found["high"] = model.credible_interval()
    if hasattr(model, "degrees_of_freedom_") and hasattr(model, "sample_posterior"):
        found["low"], found["high"] = model.credible_interval()
        found["center"], found["shape"] = model.credible_region()
        found["means"], found["covariances"] = model.sample_posterior(3, random_state=0)
    return found


@every_exact
@pytest.mark.parametrize("n", [N, 20_000])
def test_parameters_set_after_a_fit_change_no_answer(spec, n):
    X, w = clouds(n, D), weights(n)
    model = spec.new().fit(X, sample_weight=w)
    before = said(model, X, w)
    after = said(changed(model), X, w)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert_array_equal(after[name], value, err_msg=name)


@pytest.mark.parametrize("later", [0.0, 3.0])
@every_coin
def test_the_threshold_is_that_of_the_fit(spec, later):
    X = (clouds(N, D) > 0).astype(float)
    model = spec.new(binarize=None).fit(X)
    scores = model.score_samples(X)
    assert_array_equal(model.set_params(binarize=later).score_samples(X), scores)
    with pytest.raises(ValueError, match="binarize=None needs X to hold nothing but 0, 1"):
        model.score_samples(2 * X)
    free = spec.new(binarize=0.25).fit(X).set_params(binarize=None)
    assert_array_equal(free.score_samples(2 * X), free.score_samples(X))


@every_mixture
def test_a_fit_in_pieces_of_a_step_or_two_converges_as_a_whole(spec):
    X = clouds(N, D)
    whole = spec.new(n_init=1, acceleration=None).fit(X)
    for steps in (1, 2):
        model = spec.new(n_init=1, acceleration=None, max_iter=steps, warm_start=True)
        n_iter = 0
        for _ in range(1 + whole.n_iter_ // steps):
            unfinished = n_iter + steps < whole.n_iter_
            with pytest.warns(ConvergenceWarning) if unfinished else nullcontext():
                n_iter += model.fit(X).n_iter_
            if model.converged_:
                break
        assert model.converged_
        assert n_iter == whole.n_iter_
        assert model.lower_bound_ == pytest.approx(whole.lower_bound_, rel=1e-12)
        assert model.fit(X).converged_
