"""A comparison as a table to print, as HTML, JSON and a frame, and as a picture."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_lvm import EMGaussianMixture
from sklearn_lvm.compare import Comparison, ModelScore, compare_densities
from tests.compare.helpers import two_clusters

X_SMALL = two_clusters(12)


def scored(name, log_likelihood, difference=0.0, error=0.0, params=None):
    return ModelScore(name, log_likelihood, 0.5, difference, error, params or {}, 0.1, 0.2)


def of(*rows, **options):
    return Comparison(rows, (), 9, 1, 2, **options)


def lines_of(comparison):
    """The lines of the table, from the header to the last model."""
    lines = str(comparison).splitlines()
    start = next(i for i, line in enumerate(lines) if line.endswith("best parameters"))
    return lines[start : start + 1 + len(comparison.rows)], lines[
        start + 1 + len(comparison.rows) :
    ]


def test_a_density_of_zero_ranks_last_but_is_no_failure():
    models = {"zero": KernelDensity(kernel="tophat", bandwidth=0.01), "fine": KernelDensity()}
    comparison = compare_densities(two_clusters(), models)
    assert [row.model for row in comparison.rows] == ["fine", "zero"]
    assert comparison.rows[1].log_likelihood == -np.inf
    assert json.loads(comparison.to_json())["models"][1]["log_likelihood"] is None


def test_long_numbers_and_parameters_stay_in_their_columns():
    fine = scored("fine", -1.25, params={"a__b__width": 1 / 3, "kind": "x"})
    far = scored("far", -8.3e8, -8.3e8, 4.8e8, {"bins": list(range(99))})
    (header, first, second), _ = lines_of(of(fine, far))
    assert first.endswith("0.100   0.200  width=0.333, kind=x")
    assert header.index("best parameters") == first.index("width") == second.index("bins")
    assert "-8e+08" in second
    assert len(second) == 120
    assert second.endswith("…")


def test_the_best_model_has_no_difference_to_itself_and_no_zero_has_a_sign():
    best, other = scored("best", -0.001), scored("other", -0.003, -0.002, 0.004)
    (_, first, second), _ = lines_of(of(best, other))
    assert first.split() == ["1", "best", "0.00", "0.50", "0.100", "0.200"]
    assert second.split() == ["2", "other", "0.00", "0.50", "0.00", "0.00", "0.100", "0.200"]


@pytest.mark.parametrize(
    ("others", "says"),
    [
        ([], "best (K=3) fits best."),
        (
            [scored("next", -3.0, -2.0, 0.5)],
            "best (K=3) fits best, 2.00 ± 0.50 nats per row ahead of next.",
        ),
        (
            [scored("twin", -1.0, -0.1, 0.1), scored("far", -9.0, -8.0, 0.5)],
            "best (K=3) fits best, 8.00 ± 0.50 nats per row ahead of far; the errors do not tell "
            "twin apart from it.",
        ),
        (
            [scored("a", -1.0, -0.1, 0.1), scored("b", -1.0, 0.0, 0.0), scored("c", -1.1, -0.1, 1)],
            "best (K=3) fits best; the errors do not tell a, b and c apart from it.",
        ),
        (
            [scored("same", -1.0, -2e-13, 3e-14)],
            "best (K=3) fits best; the errors do not tell same apart from it.",
        ),
        ([ModelScore("gone", error="E: no")], "best (K=3) fits best."),
    ],
)
def test_the_first_line_under_the_table_answers_the_question(others, says):
    comparison = of(scored("best", -1.0, params={"density__K": 3}), *others)
    _, (blank, *below) = lines_of(comparison)
    assert blank == ""
    assert " ".join(below) == comparison.answer == says


def test_an_incomplete_comparison_says_so():
    comparison = of(
        scored("fast", -1.0),
        ModelScore("slow", left_out="5 fits would take about 800 s"),
        incomplete="stopped by SIGINT",
    )
    text = str(comparison)
    assert "2 folds (INCOMPLETE: stopped by SIGINT)" in text.splitlines()[0]
    assert "  - slow   left out: 5 fits would take about 800 s" in text
    assert "So far, fast fits best." in text
    assert json.loads(comparison.to_json())["incomplete"] == "stopped by SIGINT"
    assert str(of(ModelScore("slow", error="E: no"))).endswith("No model has a score.")


def test_a_frame_has_a_row_for_each_model():
    pytest.importorskip("pandas")
    comparison = compare_densities(
        two_clusters(), {"one": KernelDensity(), "fail": StandardScaler()}
    )
    frame = comparison.to_frame()
    assert list(frame["model"]) == ["one", "fail"]
    assert frame["log_likelihood"][0] == comparison.rows[0].log_likelihood
    assert np.isnan(frame["log_likelihood"][1])
    assert "score_samples" in frame["error"][1]


class Cells(HTMLParser):
    """The texts of a page, and the tags that are left open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_html_is_the_same_table_and_escapes_what_it_shows():
    comparison = of(
        scored("<b>", -1.0, params={"x": "<&>"}), ModelScore("gone", error="E: <no>"), name="a<b"
    )
    page = Cells(comparison._repr_html_())
    assert page.open == []
    assert {"<b>", "-1.00", "x=<&>", "failed: E: <no>", comparison.answer} <= set(page.texts)


def test_densities_of_zero_are_told_in_words():
    zero = scored("zero", -np.inf, -np.inf, np.nan)
    assert of(scored("a", -1.0), zero).answer == (
        "a fits best; zero gives some held-out row no density."
    )
    assert of(zero).answer == "Every model gives some held-out row no density."


def test_parameters_of_any_kind_are_plain_in_json_and_on_one_line():
    params = {"m__means": np.eye(2), "p__means": np.longdouble(0.5), "w": (1, np.float32(0.5))}
    comparison = of(scored("a", -1.0, params=params))
    (found,) = json.loads(comparison.to_json())["models"]
    assert found["best_params"] == {
        "m__means": [[1.0, 0.0], [0.0, 1.0]],
        "p__means": 0.5,
        "w": [1, 0.5],
    }
    assert "m__means=[[1. 0.] [0. 1.]], p__means=0.5" in str(comparison)


def test_the_picture_has_a_bar_for_each_score():
    pytest.importorskip("matplotlib").use("agg")
    comparison = of(
        scored("best", -1.0),
        scored("next", -3.0, -2.0, 0.5),
        scored("zero", -np.inf, -np.inf, np.nan),
        ModelScore("gone", error="E: no"),
    )
    ax = comparison.plot()
    assert [bar.get_width() for bar in ax.patches] == [0.0, -2.0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["best", "next"]
    assert comparison.plot(ax) is ax
    with pytest.raises(ValueError, match="nothing to draw"):
        of(ModelScore("gone", error="E: no")).plot()


def test_the_best_model_is_fitted_to_all_rows():
    X = two_clusters()
    comparison = compare_densities(X, [EMGaussianMixture(2), GaussianMixture(1)], dequantize=False)
    best = comparison.fit_best()
    assert isinstance(best, EMGaussianMixture)
    np.testing.assert_array_equal(best.feature_names_in_, ["x0", "x1"])
    expected = EMGaussianMixture(2, random_state=0).fit(X).score(X)
    assert best.score(comparison.data.frame()) == pytest.approx(expected)
    with pytest.raises(ValueError, match="there is none to fit"):
        compare_densities(X, {"fail": StandardScaler()}).fit_best()


def test_a_pipeline_is_marked():
    models = {"pipe": make_pipeline(StandardScaler(), KernelDensity())}
    assert "* pipe: a pipeline leaves the log-Jacobian" in str(compare_densities(X_SMALL, models))
