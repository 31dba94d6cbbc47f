"""A product of densities: scores add, blocks are named in messages, frames keep their dtypes."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_selector
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.utils.estimator_checks import check_estimator

from sklearn_lvm import BayesianGaussian, BetaBernoulli, GaussianMLE, ProductDensity

BODY, ANSWERS = slice(0, 2), slice(2, None)


@pytest.fixture
def X():
    rng = np.random.default_rng(0)
    return np.column_stack([rng.normal(size=(60, 2)), rng.integers(2, size=(60, 2))])


def two_blocks():
    return ProductDensity([("body", GaussianMLE(), BODY), ("answers", BetaBernoulli(), ANSWERS)])


@pytest.mark.filterwarnings("ignore:the covariance is singular")
@pytest.mark.parametrize(
    "model",
    [
        ProductDensity(),
        ProductDensity([("first", GaussianMLE(), slice(0, 1))], remainder=BayesianGaussian()),
    ],
)
def test_scikit_learn_checks(model):
    check_estimator(model)


def test_scores_of_blocks_add(X):
    w = np.random.default_rng(1).uniform(0.5, 2.0, len(X))
    model = two_blocks().fit(X, sample_weight=w)
    body = GaussianMLE().fit(X[:, BODY], sample_weight=w)
    answers = BetaBernoulli().fit(X[:, ANSWERS], sample_weight=w)
    parts = np.column_stack([body.score_samples(X[:, BODY]), answers.score_samples(X[:, ANSWERS])])
    np.testing.assert_allclose(model.transform(X), parts, rtol=1e-13)
    np.testing.assert_array_equal(model.score_samples(X), model.transform(X).sum(axis=1))
    assert model.score(X, sample_weight=w) == pytest.approx(
        np.average(parts.sum(axis=1), weights=w), rel=1e-12
    )
    assert model.n_parameters_ == body.n_parameters_ + answers.n_parameters_
    for name in ("bic", "aic"):
        of_blocks = [getattr(body, name)(X[:, BODY], w), getattr(answers, name)(X[:, ANSWERS], w)]
        assert getattr(model, name)(X, w) == pytest.approx(sum(of_blocks), rel=1e-12)


def test_a_block_that_was_not_observed_scores_nothing(X):
    model = two_blocks().fit(X)
    holes = X.copy()
    holes[:, BODY] = np.nan
    np.testing.assert_array_equal(model.score_samples(holes), model.transform(X)[:, 1])


def test_columns_are_named_in_every_way(X):
    frame = pd.DataFrame(X, columns=["age", "height", "q1", "q2"])
    expected = two_blocks().fit(X).score_samples(X)
    for columns in (["q1", "q2"], make_column_selector("^q"), [False, False, True, True], [2, 3]):
        blocks = [("body", GaussianMLE(), ["age", "height"]), ("answers", BetaBernoulli(), columns)]
        found = ProductDensity(blocks).fit(frame).score_samples(frame)
        np.testing.assert_array_equal(found, expected)


def test_a_table_is_read(X):
    model = ProductDensity().fit(X)
    assert {name: columns.tolist() for name, _, columns in model.blocks_} == {
        "binary": [2, 3],
        "numbers": [0, 1],
    }
    assert isinstance(model.named_blocks_.numbers, BayesianGaussian)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([("a", GaussianMLE(), [0, 1])], "column 2, 3 is in no block"),
        ([("a", GaussianMLE(), [0, 1]), ("b", GaussianMLE(), [1, 2, 3])],
         "column 1 is in block 'a' and in block 'b'"),
        ([("a", GaussianMLE(), [0, 9])], "block 'a' asks for columns"),
        ([("a", GaussianMLE(), ["age"])], "block 'a' asks for columns"),
        ([("a", PCA().set_params(n_components=1), [0]), ("b", "drop", [1, 2, 3])],
         "block 'b' needs an estimator with fit and score_samples"),
        ([("a", BetaBernoulli(binarize=None), [0, 1, 2, 3])], "block 'a' of columns 0, 1, 2, 3: "),
        ([("a", GaussianMLE(), [0, 1]), ("a", BetaBernoulli(), [2, 3])], "names of their own"),
        ([("a", GaussianMLE())], r"\(name, estimator, columns\)"),
        ([], "blocks is empty"),
    ],
)  # fmt: skip
def test_messages_name_block_and_column(X, blocks, message):
    with pytest.raises(ValueError, match=message):
        ProductDensity(blocks).fit(X)


def test_a_block_without_weights_is_named(X):
    model = ProductDensity([("a", GaussianMixture(), [0, 1, 2, 3])])
    with pytest.raises(ValueError, match=r"block 'a'.*sample_weight"):
        model.fit(X, sample_weight=np.ones(len(X)))


def test_a_block_without_sample_is_named(X):
    model = ProductDensity([("a", PCA(1), [0, 1])], remainder=BetaBernoulli()).fit(X)
    with pytest.raises(ValueError, match=r"PCA.*has no sample"):
        model.sample()


def test_a_failed_fit_leaves_the_fitted_state(X):
    model = two_blocks().fit(X)
    before = model.score_samples(X)
    model.set_params(answers__alpha=-1.0)
    with pytest.raises(ValueError, match="alpha"):
        model.fit(X + 1)
    np.testing.assert_array_equal(model.score_samples(X), before)


def test_parameters_of_blocks_are_reached():
    model = two_blocks().set_params(answers__alpha=3.0)
    assert clone(model).get_params()["answers__alpha"] == 3.0
    model.set_params(body=KernelDensity())
    assert isinstance(model.blocks[0][1], KernelDensity)
    assert model.blocks[0][2] == BODY


def test_samples_of_ordered_densities_are_independent():
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=(200, 2))
    X = 20 * labels + rng.normal(size=(200, 2))
    parts = [(str(j), GaussianMixture(2, random_state=0), [j]) for j in range(2)]
    drawn = ProductDensity(parts).fit(X).sample(4000, random_state=0)
    # Scikit-learn's mixtures give their samples sorted by component.
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 5 / np.sqrt(4000)


def test_samples_have_the_dtypes_of_the_frame(X):
    frame = pd.DataFrame({"age": X[:, 0], "q": X[:, 2].astype(bool), "n": X[:, 3].astype(int)})
    frame["when"] = pd.to_datetime(["2020-01-01", "2021-01-01"] * 30)
    blocks = [("age", GaussianMLE(), ["age"]), ("q", BetaBernoulli(), ["q", "n"])]
    model = ProductDensity([*blocks, ("when", Days(), ["when"])]).fit(frame)
    drawn = model.sample(5, random_state=0)
    assert drawn.dtypes.equals(frame.dtypes)
    assert list(drawn) == list(frame)
    assert np.isfinite(model.score_samples(drawn)).all()


class Days(GaussianMLE):
    """A density of a column that is no number."""

    def fit(self, X, y=None, sample_weight=None):
        self.first_ = X.iloc[:, 0].min()
        return self

    def score_samples(self, X):
        return np.zeros(len(X))

    def sample(self, n_samples=1, *, random_state=None):
        return np.full((n_samples, 1), self.first_, dtype=object)


def test_a_text_column_of_a_gaussian_is_named(X):
    frame = pd.DataFrame({"age": X[:, 0], "job": ["nurse"] * len(X)})
    with pytest.raises(ValueError, match=r"block 'a' of columns 'age', 'job': .*'nurse' in row 0"):
        ProductDensity([("a", GaussianMLE(), ["age", "job"])]).fit(frame)


def test_precision_pickles_and_output(X):
    model = two_blocks().fit(X.astype(np.float32))
    single = X.astype(np.float32)
    assert model.score_samples(single).dtype == model.sample(3).dtype == np.float32
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.score_samples(X), model.score_samples(X))
    assert list(model.set_output(transform="pandas").transform(X)) == ["body", "answers"]
