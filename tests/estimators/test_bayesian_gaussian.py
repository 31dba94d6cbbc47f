"""One Gaussian by its posterior: formulas, evidence, streams, priors in any unit, calibration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, stats

from sklearn_lvm import BayesianGaussian, CovarianceWarning, GaussianMLE

from .specs import DENSE, clouds, every_posterior, same_state, weights

N, D = 40, 3
KINDS = ("full", "diag", "spherical")
every_kind = pytest.mark.parametrize("kind", KINDS)
PART = {"full": lambda C: C, "diag": np.diag, "spherical": np.trace}
PUBLIC = {"full": lambda C: C, "diag": np.diag, "spherical": lambda C: np.trace(C) / len(C)}
PSI = np.array([[2.0, 0.6, 0.1], [0.6, 1.5, -0.3], [0.1, -0.3, 1.0]])
GIVEN = {
    "full": PSI,
    "diag": np.diag(PSI),
    "spherical": 1.7,
}


def given_prior(kind, d=D):
    """A proper prior of d features, in any unit but the rows'."""
    scatter = (
        GIVEN[kind] if kind == "spherical" else GIVEN[kind][(slice(d),) * np.ndim(GIVEN[kind])]
    )
    return {
        "covariance_type": kind,
        "mean_prior": np.array([0.5, -1.0, 2.0])[:d],
        "mean_precision_prior": 0.7,
        "degrees_of_freedom_prior": d + 0.5,
        "covariance_prior": scatter,
    }


ALL = ("mean_precision", "degrees_of_freedom", "mean", "covariance")


def numbers(prior, *names):
    """Parts of a prior, by default kappa0, nu0, m0 and Psi0."""
    return (prior[f"{name}_prior"] for name in names or ALL)


@pytest.fixture
def X():
    return clouds(N)


def updated(kind, X, w):
    """kappa, nu, mean and Psi of the posterior under the given prior, by the textbook."""
    prior, n, d = given_prior(kind, X.shape[1]), w.sum(), X.shape[1]
    mean = w @ X / n
    gaps = X - mean
    S = (w[:, None] * gaps).T @ gaps
    k0, gap = prior["mean_precision_prior"], mean - prior["mean_prior"]
    kappa = k0 + n
    nu = prior["degrees_of_freedom_prior"] + n * (d if kind == "spherical" else 1)
    psi = prior["covariance_prior"] + PART[kind](S + k0 * n / kappa * np.outer(gap, gap))
    return kappa, nu, (k0 * prior["mean_prior"] + n * mean) / kappa, psi


# -- the formulas ------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("weighted", [False, True])
def test_the_posterior_is_that_of_the_textbook(kind, weighted, X):
    w = weights(N) if weighted else np.ones(N)
    kappa, nu, mean, psi = updated(kind, X, w)
    model = BayesianGaussian(**given_prior(kind)).fit(X, sample_weight=w)
    assert_allclose(model.mean_, mean, rtol=1e-12)
    assert_allclose(model.covariance_, psi / nu, rtol=1e-12, atol=1e-12)
    assert_allclose(model.mean_precision_, kappa, rtol=1e-14)
    assert_allclose(model.degrees_of_freedom_, nu, rtol=1e-14)
    mode = BayesianGaussian(inference="map", **given_prior(kind)).fit(X, sample_weight=w)
    more = {"full": D + 2, "diag": 3, "spherical": D + 2}[kind]
    assert_allclose(mode.mean_, mean, rtol=1e-12)
    assert_allclose(mode.covariance_, psi / (nu + more), rtol=1e-12, atol=1e-12)
    for name in (
        "mean_prior",
        "mean_precision_prior",
        "degrees_of_freedom_prior",
        "covariance_prior",
    ):
        for fitted in (model, mode):
            assert_allclose(getattr(fitted, name + "_"), given_prior(kind)[name], rtol=1e-12)
    assert not hasattr(mode, "log_evidence_")


@every_kind
def test_scores_are_t_densities_of_scipy(kind, X):
    kappa, nu, mean, psi = updated(kind, X, np.ones(N))
    dof = nu - D + 1 if kind == "full" else nu
    scale = psi * (kappa + 1) / (kappa * dof)
    rows = np.concatenate([X, 30 * X])
    if kind == "diag":
        expected = stats.t(dof, mean, np.sqrt(scale)).logpdf(rows).sum(axis=1)
    else:
        expected = stats.multivariate_t(mean, scale * np.eye(D) ** (kind != "full"), dof).logpdf(
            rows
        )
    model = BayesianGaussian(**given_prior(kind)).fit(X)
    assert_allclose(model.score_samples(rows), expected, rtol=1e-11)


@every_kind
def test_the_mode_is_where_the_joint_density_has_its_top(kind):
    """By SciPy's densities of mean and covariance, in the neighborhood of the estimate."""
    X, d = clouds(9, 2), 2
    prior = given_prior(kind, d)
    k0, nu0, psi0 = numbers(prior, "mean_precision", "degrees_of_freedom", "covariance")

    def log_joint(mean, C):
        dense = DENSE[kind](np.asarray(C)[None], 1, d)[0]
        total = stats.multivariate_normal(mean, dense).logpdf(X).sum()
        total += stats.multivariate_normal(prior["mean_prior"], dense / k0).logpdf(mean)
        if kind == "full":
            return total + stats.invwishart(nu0, psi0).logpdf(C)
        return total + stats.invgamma(nu0 / 2, scale=np.asarray(psi0) / 2).logpdf(C).sum()

    model = BayesianGaussian(inference="map", **prior).fit(X)
    best = log_joint(model.mean_, model.covariance_)
    rng = np.random.default_rng(0)
    for _ in range(50):
        shift = rng.normal(size=(d, d)) * 1e-2
        grown = model.covariance_ * (1 + 1e-2 * rng.normal(size=np.shape(model.covariance_)))
        nearby = (
            (np.eye(d) + shift) @ model.covariance_ @ (np.eye(d) + shift).T
            if kind == "full"
            else grown
        )
        assert log_joint(model.mean_ + 0.01 * rng.normal(size=d), nearby) < best


@every_kind
def test_maximum_likelihood_is_that_of_the_other_estimator(kind, X):
    w = weights(N)
    plain = GaussianMLE(covariance_type=kind).fit(X, sample_weight=w)
    model = BayesianGaussian(inference="mle", **given_prior(kind)).fit(X, sample_weight=w)
    for name in ("mean_", "covariance_", "precision_", "n_parameters_", "n_samples_seen_"):
        assert np.array_equal(getattr(model, name), getattr(plain, name))
    assert np.array_equal(model.score_samples(X), plain.score_samples(X))
    assert np.array_equal(model.transform(X), plain.transform(X))
    assert not any(
        hasattr(model, name) for name in ("log_evidence_", "mean_precision_", "mean_prior_")
    )


@every_kind
def test_the_default_prior_is_weak_and_of_the_rows(kind, X):
    w = weights(N)
    model = BayesianGaussian(covariance_type=kind).fit(X, sample_weight=w)
    C = np.cov(X.T, aweights=w, bias=True) * w.sum() / (w.sum() - 1)
    assert_allclose(model.covariance_prior_, PUBLIC[kind](C), rtol=1e-12, atol=1e-12)
    assert_allclose(model.mean_prior_, np.average(X, axis=0, weights=w), rtol=1e-12)
    assert model.mean_precision_prior_ == 1.0
    assert model.degrees_of_freedom_prior_ == D
    light = BayesianGaussian(covariance_type=kind).fit(X, sample_weight=np.full(N, 1e-3))
    expected = PUBLIC[kind](2 * np.cov(X.T, bias=True))
    assert_allclose(light.covariance_prior_, expected, rtol=1e-12, atol=1e-12)


# -- evidence ----------------------------------------------------------------------------------------


@every_kind
@given(seed=st.integers(0, 10**6), d=st.integers(1, D))
def test_the_evidence_is_the_product_of_predictions(kind, seed, d):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(6, d)) * [1.0, 5.0, 0.2][:d]
    stream = BayesianGaussian(**given_prior(kind, d)).partial_fit(X[:1])
    log_evidence = stream.log_evidence_
    for row in X[1:]:
        log_evidence += stream.score(row[None])
        stream.partial_fit(row[None])
        assert_allclose(stream.log_evidence_, log_evidence, rtol=1e-10, atol=1e-10)
    whole = BayesianGaussian(**given_prior(kind, d)).fit(X[::-1])
    assert_allclose(whole.log_evidence_, log_evidence, rtol=1e-10, atol=1e-10)


@every_kind
def test_the_evidence_is_an_integral_over_all_parameters(kind):
    """In one dimension all structures are one, but for the number of degrees of freedom per row."""
    X, prior = np.array([[0.3], [1.1], [-0.4]]), given_prior(kind, 1)
    k0, nu0, m0, psi0 = numbers(prior)

    axis, log_precision = np.linspace(-9, 9, 1201), np.linspace(-25, 5, 1501)
    mean, precision = axis[:, None] + np.zeros(1501), np.exp(log_precision)
    total = stats.norm(mean, np.sqrt(1 / precision)).logpdf(X[:, :, None]).sum(axis=0)
    total += stats.norm(m0[0], np.sqrt(1 / (k0 * precision))).logpdf(mean)
    total += stats.gamma(nu0 / 2, scale=2 / np.squeeze(psi0)).logpdf(precision) + log_precision
    mass = integrate.trapezoid(integrate.trapezoid(np.exp(total), log_precision), axis)
    assert_allclose(BayesianGaussian(**prior).fit(X).log_evidence_, np.log(mass), rtol=1e-4)


@every_kind
def test_the_evidence_of_one_row_is_the_prior_predictive(kind):
    """With kappa0 and nu0 of the prior in place of the posterior's."""
    row, prior = np.array([[1.0, 0.2, -0.7]]), given_prior(kind)
    k0, nu0, m0, psi0 = numbers(prior)
    dof = nu0 - D + 1 if kind == "full" else nu0
    scale = psi0 * (k0 + 1) / (k0 * dof)
    if kind == "diag":
        expected = stats.t(dof, m0, np.sqrt(scale)).logpdf(row[0]).sum()
    else:
        expected = stats.multivariate_t(m0, scale * np.eye(D) ** (kind != "full"), dof).logpdf(row)
    assert_allclose(BayesianGaussian(**prior).fit(row).log_evidence_, expected, rtol=1e-12)


@every_kind
@pytest.mark.parametrize("strength", [1e6, 1e12, 1e15])
def test_the_evidence_under_a_strong_prior_is_the_likelihood_of_its_gaussian(kind, strength, X):
    C = {"full": PSI, "diag": np.diag(np.diag(PSI)), "spherical": 1.7 * np.eye(D)}[kind]
    prior = given_prior(kind) | {
        "mean_precision_prior": strength,
        "degrees_of_freedom_prior": strength,
        "covariance_prior": strength * np.asarray(GIVEN[kind]),
    }
    expected = stats.multivariate_normal(prior["mean_prior"], C).logpdf(X).sum()
    found = BayesianGaussian(**prior).fit(X).log_evidence_
    assert_allclose(found, expected, rtol=1e-12 + 1e3 / strength)


# -- streams -----------------------------------------------------------------------------------------


@every_posterior
@given(
    seed=st.integers(0, 10**6),
    cuts=st.lists(st.integers(1, N - 1), max_size=5, unique=True),
    prior=st.booleans(),
)
def test_any_split_equals_one_fit(spec, seed, cuts, prior):
    rng = np.random.default_rng(seed)
    X, w = rng.normal(size=(N, D)) * [1.0, 2.0, 0.1] + [0.0, 5.0, -10.0], rng.uniform(0.1, 2, N)
    kind = spec.estimator.covariance_type
    params = given_prior(kind) if prior else {}
    stream, order = spec.new(**params), rng.permutation(N)
    for part in np.split(order, sorted(cuts)):
        stream.partial_fit(X[part], sample_weight=w[part])
    whole = spec.new(**params).fit(X, sample_weight=w)
    assert_allclose(stream.score_samples(X), whole.score_samples(X), rtol=1e-10)
    for name in (
        "mean_",
        "covariance_",
        "covariance_prior_",
        "degrees_of_freedom_",
        "log_evidence_",
    ):
        if hasattr(whole, name):
            assert_allclose(getattr(stream, name), getattr(whole, name), rtol=1e-10, atol=1e-10)


@every_kind
@pytest.mark.parametrize("inference", ["bayes", "map"])
def test_a_single_row_is_enough_under_a_proper_prior(kind, inference):
    row = clouds(1)
    model = BayesianGaussian(inference=inference, **given_prior(kind)).partial_fit(row)
    assert np.isfinite(model.score(row + 1.0))
    assert np.isfinite(model.credible_interval()).all()
    alone = BayesianGaussian(
        covariance_type=kind, inference=inference, covariance_prior=GIVEN[kind]
    )
    assert np.isfinite(alone.fit(row).score(row))
    with pytest.raises(ValueError, match=r"a default covariance_prior needs .* n_samples=1"):
        BayesianGaussian(covariance_type=kind, inference=inference).fit(row)


def test_fewer_rows_than_features_are_enough():
    X = np.random.default_rng(0).normal(size=(4, 6))
    model = BayesianGaussian(covariance_prior=np.eye(6)).fit(X)
    assert np.isfinite(model.score(X + 1.0))
    with pytest.warns(CovarianceWarning, match=r"singular.*reg_covar=1e-06"):
        regularized = BayesianGaussian().fit(X)
    C = np.cov(X.T)
    assert_allclose(
        regularized.covariance_prior_, C + 1e-6 * np.diag(np.diag(C) * 3 / 4), rtol=1e-9, atol=1e-9
    )
    with pytest.raises(ValueError, match="reg_covar > 0, give covariance_prior, or drop"):
        BayesianGaussian(reg_covar=0).fit(X)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_a_constant_feature_needs_a_prior_or_gets_a_share_of_the_others(kind, X):
    X[:, 1] = 7.0
    model = BayesianGaussian(covariance_type=kind, covariance_prior=GIVEN[kind]).fit(X)
    variance = np.diag(DENSE[kind](model.covariance_[None], 1, D)[0])[1]
    assert_allclose(variance, PSI[1, 1] / (N + D), rtol=1e-12)
    with pytest.warns(CovarianceWarning, match="features 1 are constant"):
        BayesianGaussian(covariance_type=kind).fit(X)


def test_a_prior_that_is_lost_beside_the_rows_is_refused():
    X = np.column_stack([np.arange(5.0), np.arange(5.0)])
    with pytest.raises(ValueError, match=r"posterior.*features [01].*larger covariance_prior"):
        BayesianGaussian(covariance_prior=1e-30 * np.eye(2)).fit(X)


# -- priors as they are given ------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("inference", ["bayes", "map"])
@pytest.mark.parametrize("factor", [np.full(D, 1e-6), np.full(D, 1e9), np.array([1e-5, 1.0, 1e7])])
def test_a_prior_moves_with_the_units(kind, inference, factor, X):
    if kind == "spherical" and len(set(factor)) > 1:
        factor = np.full(D, 3.0)
    shift, prior = np.array([100.0, -3.0, 0.0]), given_prior(kind)
    growth = {"full": np.outer(factor, factor), "diag": factor**2, "spherical": factor[0] ** 2}[
        kind
    ]
    moved = prior | {
        "mean_prior": factor * (prior["mean_prior"] + shift),
        "covariance_prior": prior["covariance_prior"] * growth,
    }
    Y, log_jacobian = factor * (X + shift), np.log(factor).sum()
    plain = BayesianGaussian(inference=inference, **prior).fit(X)
    model = BayesianGaussian(inference=inference, **moved).fit(Y)
    assert_allclose(model.score_samples(Y) + log_jacobian, plain.score_samples(X), atol=1e-9)
    assert_allclose(model.covariance_ / growth, plain.covariance_, rtol=1e-9, atol=1e-9)
    assert_allclose(model.covariance_prior_ / growth, plain.covariance_prior_, rtol=1e-9, atol=1e-9)
    low, high = plain.credible_interval()
    assert_allclose(model.credible_interval(), factor * (np.array([low, high]) + shift), rtol=1e-9)
    if inference == "bayes":
        assert_allclose(model.log_evidence_ + N * log_jacobian, plain.log_evidence_, rtol=1e-10)


BAD = {
    "mean shape": ({"mean_prior": [1.0, 2.0]}, r"mean_prior must be of shape \(3,\), got \(2,\)"),
    "mean nan": ({"mean_prior": [1.0, np.nan, 0.0]}, "mean_prior.*NaN"),
    "mean size": ({"mean_prior": [1e300, 0.0, 0.0]}, "mean_prior is out of all proportion"),
    "shape": ({"covariance_prior": np.eye(2)}, r"covariance_prior .* \(3, 3\), got \(2, 2\)"),
    "number": ({"covariance_prior": 2.0}, r"covariance_prior .* in the shape \(3, 3\): .* scalar"),
    "symmetry": (
        {"covariance_prior": np.eye(3) + np.eye(3, k=1)},
        "covariance_prior must be symmetric",
    ),
    "sign": ({"covariance_prior": -np.eye(3)}, "covariance_prior is not positive definite"),
    "nan": ({"covariance_prior": np.full((3, 3), np.nan)}, "covariance_prior.*NaN"),
    "freedom": (
        {"degrees_of_freedom_prior": 2.0, "covariance_prior": np.eye(3)},
        "degrees_of_freedom_prior=2 must be greater than n_features - 1 = 2",
    ),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("inference", ["bayes", "map"])
def test_a_bad_prior_is_named_and_changes_nothing(case, inference, X):
    params, message = BAD[case]
    model = BayesianGaussian(inference=inference).partial_fit(X)
    before = vars(model).copy()
    model.set_params(**params)
    for call in (model.fit, model.partial_fit, BayesianGaussian(inference=inference, **params).fit):
        with pytest.raises(ValueError, match=message):
            call(X)
    learned = {name: value for name, value in vars(model).items() if name not in params}
    assert learned == {name: value for name, value in before.items() if name not in params}


# -- what is known of the parameters -----------------------------------------------------------------


@every_kind
def test_without_a_posterior_the_remedy_is_told(kind, X):
    model = BayesianGaussian(covariance_type=kind, inference="mle").fit(X)
    for method in ("credible_interval", "credible_region", "sample_posterior"):
        with pytest.raises(AttributeError, match=r"no posterior; set inference='bayes' or 'map'"):
            getattr(model, method)()


@every_posterior
def test_intervals_are_those_of_marginal_t_densities(spec, X):
    model = spec.new(**given_prior(kind := spec.estimator.covariance_type)).fit(X)
    kappa, nu, mean, psi = updated(kind, X, np.ones(N))
    dof = nu - D + 1 if kind == "full" else nu
    variance = np.diag(DENSE[kind](np.asarray(psi)[None], 1, D)[0]) / (kappa * dof)
    for level in (0.5, 0.95, 0.999):
        expected = stats.t(dof, mean, np.sqrt(variance)).interval(level)
        assert_allclose(model.credible_interval(level), expected, rtol=1e-10)
    for level in (0.0, 1.0, -1, "wide", None, np.nan):
        for method in (model.credible_interval, model.credible_region):
            with pytest.raises(ValueError, match=r"level must be a number in \(0, 1\)"):
                method(level)


@every_posterior
def test_draws_are_those_of_scipy_and_fill_intervals_and_regions(spec, X):
    n, kind = 20_000, spec.estimator.covariance_type
    model = spec.new(**given_prior(kind)).fit(X[:6])
    _, nu, mean, psi = updated(kind, X[:6], np.ones(6))
    means, covariances = model.sample_posterior(n, random_state=0)
    assert covariances.shape == (n, *np.shape(model.covariance_))
    low, high = model.credible_interval(0.8)
    inside = ((low < means) & (means < high)).mean(axis=0)
    assert (abs(inside - 0.8) < 4 * np.sqrt(0.16 / n)).all()
    center, shape = model.credible_region(0.8)
    dense = DENSE[kind](np.asarray(shape)[None], 1, D)[0]
    radius = np.einsum("ni,ij,nj->n", means - center, np.linalg.inv(dense), means - center)
    assert abs((radius <= 1).mean() - 0.8) < 4 * np.sqrt(0.16 / n)
    assert_allclose(center, mean, rtol=1e-12)
    variance = np.diagonal(covariances, axis1=1, axis2=2)[:, 1] if kind == "full" else covariances
    variance = variance[:, 1] if kind == "diag" else variance
    psi_1 = np.diag(psi)[1] if kind == "full" else psi[1] if kind == "diag" else psi
    marginal = stats.invgamma((nu - D + 1 if kind == "full" else nu) / 2, scale=psi_1 / 2)
    assert stats.kstest(variance, marginal.cdf).pvalue > 1e-3


def test_full_covariances_are_drawn_with_their_correlations(X):
    n = 20_000
    model = BayesianGaussian(**given_prior("full")).fit(X)
    _, covariances = model.sample_posterior(n, random_state=0)
    _, nu, _, psi = updated("full", X, np.ones(N))
    expected = stats.invwishart(nu, psi)
    spread = np.sqrt(expected.var() / n)
    assert (abs(covariances.mean(axis=0) - expected.mean()) < 5 * spread).all()
    volumes = np.linalg.slogdet(covariances)[1]
    plain = np.linalg.slogdet(expected.rvs(n, random_state=1))[1]
    assert stats.ks_2samp(volumes, plain).pvalue > 1e-3


@every_posterior
def test_draws_have_a_random_state(spec, X):
    model = spec.new(random_state=3).fit(X)
    one, other = model.sample_posterior(4), model.sample_posterior(4, random_state=3)
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert not np.array_equal(one[0], model.sample_posterior(4, random_state=4)[0])
    with pytest.raises(ValueError, match="n_samples must be an integer"):
        model.sample_posterior(0)
    with pytest.raises(ValueError, match=r"random_state.* of sample_posterior"):
        model.sample_posterior(random_state="now")


@every_kind
def test_intervals_and_regions_hold_the_parameters_that_the_prior_drew(kind):
    """As often as they say, exactly, whatever the number of rows."""
    rng, n_times, level = np.random.RandomState(0), 500, 0.7
    prior = given_prior(kind, 2)
    k0, nu0, m0, psi0 = numbers(prior)
    hits = np.zeros((n_times, 3), dtype=bool)
    for hit in hits:
        if kind == "full":
            C = stats.invwishart(nu0, psi0).rvs(random_state=rng)
        else:
            size = 2 if kind == "diag" else ()
            C = np.diag(np.broadcast_to(psi0 / rng.chisquare(nu0, size), 2))
        mean = rng.multivariate_normal(m0, C / k0)
        model = BayesianGaussian(**prior).fit(rng.multivariate_normal(mean, C, size=3))
        low, high = model.credible_interval(level)
        center, shape = model.credible_region(level)
        dense = DENSE[kind](np.asarray(shape)[None], 1, 2)[0]
        hit[:2] = (low < mean) & (mean < high)
        hit[2] = (mean - center) @ np.linalg.solve(dense, mean - center) <= 1
    error = np.sqrt(level * (1 - level) / n_times)
    assert (abs(hits.mean(axis=0) - level) < 4 * error).all()


# -- beside other models -----------------------------------------------------------------------------


def test_a_strong_prior_is_what_counts_and_a_weak_one_is_none(X):
    prior = {"mean_prior": np.ones(D), "mean_precision_prior": 1e9, "degrees_of_freedom_prior": 1e9}
    strong = BayesianGaussian(covariance_prior=1e9 * PSI, **prior).fit(X)
    assert_allclose(strong.mean_, 1.0, atol=1e-6)
    expected = stats.multivariate_normal(np.ones(D), PSI).logpdf(X)
    assert_allclose(strong.score_samples(X), expected, rtol=1e-5)
    many = np.tile(X, (20_000, 1))
    assert_allclose(
        BayesianGaussian().fit(many).score(X), GaussianMLE().fit(many).score(X), rtol=1e-5
    )


def test_few_rows_are_predicted_better_than_by_maximum_likelihood():
    """On average over tables of five rows of three features, by more than a nat a row."""
    gains = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows, new = rng.normal(size=(5, 3)), rng.normal(size=(500, 3))
        gains.append(BayesianGaussian().fit(rows).score(new) - GaussianMLE().fit(rows).score(new))
    assert np.mean(gains) > 1.0


def test_another_inference_leaves_nothing_of_the_last(X):
    model = BayesianGaussian().fit(X)
    for inference in ("map", "mle", "bayes"):
        model.set_params(inference=inference).fit(X)
        assert same_state(model, BayesianGaussian(inference=inference).fit(X))


@every_kind
@pytest.mark.parametrize("weight", [1e-300, 1e280])
@pytest.mark.parametrize("freedom", [2.0 + 1e-12, 1e300])
def test_answers_are_numbers_under_any_weights_and_freedom(kind, weight, freedom, X):
    prior = given_prior(kind) | {"degrees_of_freedom_prior": freedom}
    model = BayesianGaussian(**prior).fit(X, sample_weight=np.full(N, weight))
    answers = [*model.credible_interval(), *model.credible_region(), model.log_evidence_]
    answers += [*model.sample_posterior(50, random_state=0), model.sample(50, random_state=0)]
    assert all(np.isfinite(answer).all() for answer in answers)
    assert np.isfinite(model.score_samples(X)).all()
