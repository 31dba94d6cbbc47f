"""A fitted estimator is a normalized density: it scores, weighs and samples like one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from sklearn_lvm import GaussianMLE

from .specs import (
    clouds,
    every_exact,
    every_exact_measured,
    every_mixture,
    every_spec,
    log_joint,
    log_prob,
    parameters,
    weights,
)

N = 150
BAD_COUNTS = [0, -1, 10**30, 2.5, True, "3", None, np.float64(2.0)]


@pytest.fixture
def X():
    return clouds(N)


def moments(model):
    """Mean and covariance of the whole density."""
    w, means, C = parameters(model)
    mean = w @ means
    gaps = means - mean
    return mean, np.einsum("k,kij->ij", w, C + gaps[:, :, None] * gaps[:, None, :])


@every_exact
def test_scores_agree_with_scipy(spec, X):
    model = spec.new().fit(X)
    far = np.concatenate([X, 10 * X[:5], X[:5] - 100.0])
    assert_allclose(model.score_samples(far), log_prob(model, far), rtol=1e-10)


@every_exact_measured
def test_the_density_integrates_to_one(spec):
    model = spec.new().fit(clouds(N, 2))
    axis, step = np.linspace(-60, 60, 1001, retstep=True)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    assert_allclose(np.exp(model.score_samples(grid)).sum() * step**2, 1.0, rtol=1e-8)


@every_spec
def test_score_is_the_mean_of_the_scores(spec, X):
    model, w = spec.new().fit(X), weights(N)
    each = model.score_samples(X)
    assert type(model.score(X)) is float
    assert type(model.score(X, sample_weight=w)) is float
    assert_allclose(model.score(X), each.mean(), rtol=1e-13)
    assert_allclose(model.score(X, sample_weight=w), w @ each / w.sum(), rtol=1e-13)


@every_exact
def test_criteria_charge_for_parameters(spec, X):
    model, w = spec.new().fit(X), weights(N)
    total, p = model.score_samples(X).sum(), model.n_parameters_
    assert_allclose(model.aic(X), -2 * total + 2 * p, rtol=1e-12)
    assert_allclose(model.bic(X), -2 * total + p * np.log(N), rtol=1e-12)
    weighted = w @ model.score_samples(X)
    assert_allclose(model.aic(X, w), -2 * weighted + 2 * p, rtol=1e-12)
    assert_allclose(model.bic(X, w), -2 * weighted + p * np.log(w.sum()), rtol=1e-12)
    assert type(model.bic(X)) is type(model.aic(X)) is float


@every_exact_measured
def test_parameters_are_counted(spec):
    d = 3
    model = spec.new().fit(clouds(N, d))
    if spec.linear:
        q = model.n_components_
        assert model.n_parameters_ == d + 1 + d * q - q * (q - 1) // 2
        return
    if spec.factors:
        q = model.n_components_
        assert model.n_parameters_ == 2 * d + d * q - q * (q - 1) // 2
        return
    K = len(parameters(model)[0])
    matrix = {"full": d * (d + 1) // 2, "diag": d, "spherical": 1}
    q = getattr(model, "n_factors_", 0)
    loadings = d * q - q * (q - 1) // 2
    matrix |= {"factor": loadings + d, "ppca": loadings + 1}
    per_type = {name: K * size for name, size in matrix.items()} | {"tied": matrix["full"]}
    assert model.n_parameters_ == K - 1 + K * d + per_type[model.covariance_type]


# -- samples -----------------------------------------------------------------------------------------


@every_exact
def test_samples_have_the_moments_of_the_density(spec, X):
    n = 40_000
    model = spec.new().fit(X)
    drawn = model.sample(n, random_state=0)
    assert drawn.shape == (n, 3)
    mean, C = moments(model)
    assert (abs(drawn.mean(axis=0) - mean) < 4 * np.sqrt(np.diag(C) / n)).all()
    gaps = drawn - mean
    products = gaps[:, :, None] * gaps[:, None, :]
    assert (abs(products.mean(axis=0) - C) < 4 * products.std(axis=0) / np.sqrt(n)).all()


@every_spec
def test_samples_score_as_high_as_the_density_expects(spec, X):
    """The mean log-density of samples is minus the entropy, whichever samples."""
    model = spec.new().fit(X)
    scores = [model.score_samples(model.sample(20_000, random_state=s)) for s in (0, 1)]
    error = np.hypot(*(each.std() / np.sqrt(len(each)) for each in scores))
    assert abs(scores[0].mean() - scores[1].mean()) < 4 * error


@every_mixture
def test_samples_come_in_random_order_with_their_component(spec, X):
    model = spec.new().fit(X)
    drawn, labels = model.sample(4000, random_state=0, return_latent=True)
    assert_array_equal(drawn, model.sample(4000, random_state=0))
    counts = np.bincount(labels, minlength=model.n_components)
    expected = 4000 * model.weights_
    assert labels.shape == (4000,)
    assert (abs(counts - expected) < 4 * np.sqrt(expected)).all()
    if model.n_components > 1:
        w = model.weights_
        repeats, chance = (labels[1:] == labels[:-1]).mean(), (w**2).sum()
        assert abs(repeats - chance) < 0.05
    joint = log_joint(model, drawn)
    own = joint[np.arange(4000), labels]
    best = joint.max(axis=1)
    assert (own > best - 30).all()


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_the_latent_variable_of_a_gaussian_is_white(covariance_type, X):
    model = GaussianMLE(covariance_type=covariance_type).fit(X)
    drawn, latent = model.sample(2000, random_state=0, return_latent=True)
    assert latent.shape == drawn.shape
    assert_allclose(latent, model.transform(drawn), rtol=1e-12, atol=1e-12)
    assert_allclose(np.cov(latent.T), np.eye(3), atol=0.15)


@every_spec
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_and_latent_variables_are_drawn_in_the_precision_of_the_data(spec, dtype, X):
    drawn, latent = spec.new().fit(X.astype(dtype)).sample(5, return_latent=True)
    assert drawn.dtype == dtype
    assert latent.dtype == (np.intp if spec.mixture else dtype)


@every_spec
def test_the_random_state_of_a_sample(spec, X):
    model = spec.new(random_state=5).fit(X)
    first = model.sample(6)
    assert_array_equal(model.sample(6), first)
    assert_array_equal(model.sample(6, random_state=5), first)
    assert_array_equal(model.sample(6, random_state=np.random.RandomState(5)), first)
    assert not np.array_equal(model.sample(6, random_state=6), first)
    shared = np.random.RandomState(5)
    assert not np.array_equal(
        model.sample(6, random_state=shared), model.sample(6, random_state=shared)
    )


@every_spec
def test_a_sample_without_a_random_state_is_new_each_time(spec, X):
    model = spec.new(random_state=None).fit(X)
    assert not np.array_equal(model.sample(200), model.sample(200))  # zeros and ones, at times


@every_spec
@pytest.mark.parametrize("n_samples", BAD_COUNTS, ids=repr)
def test_the_number_of_samples_is_a_positive_integer(spec, n_samples, X):
    model = spec.new().fit(X)
    with pytest.raises(ValueError, match="n_samples") as caught:
        model.sample(n_samples)
    assert repr(n_samples) in str(caught.value)


@every_spec
def test_the_number_of_samples_may_be_any_integer_type(spec, X):
    model = spec.new().fit(X)
    assert model.sample().shape == (1, 3)
    assert model.sample(np.int64(4)).shape == (4, 3)


# -- what needs a fit --------------------------------------------------------------------------------


@every_spec
def test_nothing_is_said_before_a_fit(spec, X):
    model = spec.new()
    criteria = () if spec.neural else ("bic", "aic")
    for method in ("score_samples", "score", "transform", *criteria):
        with pytest.raises(NotFittedError):
            getattr(model, method)(X)
    with pytest.raises(NotFittedError):
        model.sample()


@every_mixture
def test_a_mixture_labels_nothing_before_a_fit(spec, X):
    model = spec.new()
    for method in ("predict", "predict_proba", "icl"):
        with pytest.raises(NotFittedError):
            getattr(model, method)(X)


@every_mixture
def test_responsibilities_are_the_posterior(spec, X):
    model = spec.new().fit(X)
    resp = model.predict_proba(X)
    joint = log_joint(model, X)
    plain = np.exp(joint - log_prob(model, X)[:, None])
    assert resp.shape == (N, model.n_components)
    assert_allclose(resp.sum(axis=1), 1.0, rtol=1e-14)
    assert_allclose(resp, plain, rtol=1e-7, atol=1e-12)
    assert_array_equal(model.transform(X), resp)
    assert_array_equal(model.predict(X), joint.argmax(axis=1))


@every_mixture
def test_fit_predict_is_fit_and_predict(spec, X):
    w = weights(N)
    assert_array_equal(spec.new().fit_predict(X), spec.new().fit(X).predict(X))
    labels = spec.new().fit_predict(X, sample_weight=w)
    assert_array_equal(labels, spec.new().fit(X, sample_weight=w).predict(X))


@every_mixture
def test_icl_adds_twice_the_entropy_to_bic(spec, X):
    model, w = spec.new().fit(X), weights(N)
    resp = np.clip(model.predict_proba(X), 1e-300, None)
    entropy = -(resp * np.log(resp)).sum(axis=1)
    assert_allclose(model.icl(X), model.bic(X) + 2 * entropy.sum(), rtol=1e-12)
    assert_allclose(model.icl(X, w), model.bic(X, w) + 2 * w @ entropy, rtol=1e-12)
    assert type(model.icl(X)) is float


@every_spec
def test_fit_returns_the_estimator_and_ignores_y(spec, X):
    model = spec.new()
    assert model.fit(X, np.arange(N)) is model
    assert_array_equal(model.score_samples(X), spec.new().fit(X).score_samples(X))


@every_spec
def test_fit_transform_is_fit_and_transform(spec, X):
    assert_array_equal(spec.new().fit_transform(X), spec.new().fit(X).transform(X))
