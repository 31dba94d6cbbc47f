"""Categories: probabilities of each inference, levels, batches, missing entries, and messages."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_lvm import BetaBernoulli, DirichletCategorical

INFERENCES = ("bayes", "map", "mle")
every_inference = pytest.mark.parametrize("inference", INFERENCES)


def rows(n=40, seed=0):
    rng = np.random.RandomState(seed)
    X = np.stack(
        [rng.choice([1.0, 4.0, 9.0], n, p=[0.6, 0.3, 0.1]), rng.randint(2, size=n)], axis=1
    )
    X[::7, 0] = np.nan
    return X


# A list, because pytest no longer takes the generator that older versions hand out.
_checks = parametrize_with_checks(
    [DirichletCategorical(inference=inference) for inference in INFERENCES]
)


@pytest.mark.parametrize(_checks.args[0], list(_checks.args[1]), ids=_checks.kwargs["ids"])
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize(("inference", "more"), [("bayes", 1.5), ("map", 0.5), ("mle", 0.0)])
def test_probabilities_are_shares_with_the_prior(inference, more):
    X = rows()
    model = DirichletCategorical(alpha=1.5, inference=inference).fit(X)
    n = np.array([(X[:, 0] == value).sum() for value in (1.0, 4.0, 9.0)])
    assert_array_equal(model.categories_[0], [1.0, 4.0, 9.0])
    assert_allclose(model.probability_[0], (n + more) / (n + more).sum(), rtol=1e-12)
    assert model.n_parameters_ == 3


@every_inference
def test_of_zeros_and_ones_it_is_the_beta_bernoulli(inference):
    X = rows()[:, 1:]
    known = BetaBernoulli(alpha=1.5, beta=1.5, inference=inference).fit(X)
    model = DirichletCategorical(alpha=1.5, inference=inference).fit(X)
    assert_allclose(model.score_samples(X), known.score_samples(X), rtol=1e-12)
    if inference == "bayes":
        assert_allclose(model.log_evidence_, known.log_evidence_, rtol=1e-12)


@every_inference
def test_batches_equal_one_fit_and_weights_are_repetitions(inference):
    X = rows()
    X[0] = 25.0  # which only one of the batches has
    whole = DirichletCategorical(inference=inference).fit(np.repeat(X, 2, axis=0))
    parts = DirichletCategorical(inference=inference)
    for batch in (slice(11, 40), slice(11)):
        parts.partial_fit(X[batch], sample_weight=np.full(len(X[batch]), 2.0))
    assert parts.n_samples_seen_ == whole.n_samples_seen_ == 80
    assert_array_equal(parts.categories_[0], [1.0, 4.0, 9.0, 25.0])
    assert_allclose(parts.score_samples(X), whole.score_samples(X), rtol=1e-12)


def test_the_density_sums_to_one_over_declared_levels():
    levels = [[1, 4, 9, 16], [0, 1]]
    model = DirichletCategorical(categories=levels).fit(rows())
    support = np.array([[a, b] for a in levels[0] for b in levels[1]], dtype=float)
    assert_allclose(np.exp(model.score_samples(support)).sum(), 1.0, rtol=1e-12)
    assert model.score_samples([[16.0, 0.0]])[0] > -np.inf


def test_what_is_no_level_is_impossible():
    model = DirichletCategorical().fit(rows())
    assert_array_equal(model.score_samples([[2.0, 0.0]]), [-np.inf])
    assert_array_equal(model.transform([[2.0, np.nan]]), [[-np.inf, 0.0]])
    with pytest.raises(ValueError, match="rules out"):
        model.condition({0: 2.0})


@every_inference
def test_a_marginal_and_a_conditional_make_the_joint(inference):
    model = DirichletCategorical(categories=[[1, 4, 9], [0, 1]], inference=inference).fit(rows())
    x = np.array([[4.0, 1.0]])
    known, rest = model.marginal([1]), model.condition({1: 1.0})
    joint = known.score_samples(x[:, 1:]) + rest.score_samples(x[:, :1])
    assert_allclose(joint, model.score_samples(x), rtol=1e-12)
    assert rest.categories == [[1, 4, 9]]


def test_missing_entries_become_the_most_probable_level_or_draws():
    X = rows()
    model, missing = DirichletCategorical(random_state=0).fit(X), np.isnan(X)
    filled = model.impute(X)
    assert (filled[missing] == 1.0).all()
    assert_array_equal(filled[~missing], X[~missing])
    (drawn,) = model.impute(X, n_draws=1)
    assert np.isin(drawn[missing], model.categories_[0]).all()


def test_samples_are_levels_with_their_probabilities():
    model = DirichletCategorical().fit(rows())
    drawn = model.sample(20_000, random_state=0)
    for j, (values, p) in enumerate(zip(model.categories_, model.probability_, strict=True)):
        share = (drawn[:, j, None] == values).mean(axis=0)
        assert_allclose(share, p, atol=5 * np.sqrt(0.25 / 20_000))


def test_the_evidence_grows_by_the_predictive():
    X = rows(6, seed=3)[1:]
    levels = [[1, 4, 9], [0, 1]]
    before = DirichletCategorical(categories=levels).fit(X[:-1])
    after = DirichletCategorical(categories=levels).fit(X)
    gained = (after.log_evidence_ - before.log_evidence_).sum()
    assert_allclose(gained, before.score(X[-1:]), rtol=1e-10)


@every_inference
def test_the_family_estimates_the_probabilities(inference):
    X = rows()
    w = np.linspace(0.5, 2.0, len(X))
    model = DirichletCategorical(alpha=1.5, inference=inference).fit(X, sample_weight=w)
    transformation, family = model._family(X, w)
    found = family.estimate(family.statistics(transformation.transform(X), w[None]))
    for theta, p in zip(found.parts, model.probability_, strict=True):
        assert_allclose(np.exp(theta[0]), p, rtol=1e-12)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"categories": [[1, 4, 9]]}, "each of the 2 columns, got 1 lists"),
        ({"categories": [["a"], [0, 1]]}, r"categories\[0\] must be a list of finite numbers"),
        (
            {"categories": [[1, 4], [0, 1]]},
            "X holds 9 in column 0, which is none of its categories",
        ),
        (
            {"alpha": 0.5, "inference": "map", "categories": [[1, 4, 9, 3], [0, 1]]},
            "in column 0: th",
        ),
        ({"alpha": [1.0, 2.0, 3.0]}, "alpha must be positive"),
    ],
)
def test_bad_parameters_are_explained(params, message):
    with pytest.raises(ValueError, match=message):
        DirichletCategorical(**params).fit(rows())
