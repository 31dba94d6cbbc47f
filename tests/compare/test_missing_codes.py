"""Values that probably mean missing are named, and no others."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

from sklearn_lvm.compare.missing_codes import likely_codes, missing_code_notes
from sklearn_lvm.compare.tables import as_table

RNG = np.random.RandomState(0)
NORMAL = RNG.normal(20, 5, 500)
LOG_NORMAL = RNG.lognormal(3, 1, 500)
COUNTS = RNG.poisson(4, 500)
ONES = RNG.randint(0, 2, 500)


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        (NORMAL, {-999: 6}),
        (NORMAL, {999999: 6}),
        (NORMAL, {-999.25: 3}),
        (NORMAL, {1e20: 3}),
        (NORMAL, {-1000: 3}),
        (NORMAL + 100, {-1: 3}),
        (NORMAL, {-999: 2, -9999: 3}),
        (LOG_NORMAL, {-999: 6}),
        (LOG_NORMAL, {-9: 6}),
        (LOG_NORMAL, {99999: 6}),
        (COUNTS, {99: 6}),
        (COUNTS, {97: 3, 98: 4, 99: 5}),
        (COUNTS, {-9: 3}),
        (ONES, {-999: 6}),
        (ONES, {99: 6}),
    ],
)
def test_codes_are_found_and_counted(values, codes):
    x = np.append(values, np.repeat(list(codes), list(codes.values())).astype(float))
    assert likely_codes(np.append(x, [np.nan, np.inf])) == codes


def zero_inflated(rng, values):
    return np.where(rng.uniform(size=len(values)) < 0.8, 0, values)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("n", [30, 300, 3000])
def test_ordinary_columns_have_no_codes(seed, n):
    rng = np.random.RandomState(seed)
    X = np.column_stack(
        [
            rng.uniform(size=n) < 0.02,
            rng.randint(0, 2, n),
            rng.randint(1, 6, n),
            rng.randint(0, 100, n),
            rng.poisson(0.1, n),
            rng.poisson(5, n),
            rng.negative_binomial(0.2, 0.05, n),
            rng.zipf(1.8, n),
            rng.lognormal(0, 2, n).round(),
            rng.lognormal(3, 1, n).round(1),
            rng.lognormal(0, 3, n),
            rng.standard_cauchy(n).round(),
            zero_inflated(rng, rng.lognormal(2, 1, n).round()),
            zero_inflated(rng, 100 + rng.normal(size=n).round()),
            rng.choice([0.0, 1.0, 5.0], n),
        ]
    )
    assert missing_code_notes(as_table(X)) == []


@pytest.mark.parametrize(
    "load", [load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine]
)
def test_known_tables_have_no_codes(load):
    assert missing_code_notes(as_table(load().data)) == []


def test_a_value_that_stands_once_is_no_code():
    for outlier in (1000.0, -999.0):
        assert missing_code_notes(as_table(np.append(NORMAL, outlier)[:, None])) == []


def test_a_note_names_the_code_its_count_its_columns_and_the_remedy():
    X = np.column_stack([NORMAL, LOG_NORMAL, COUNTS])
    X[7, :2] = -999
    assert missing_code_notes(as_table(X, ["a", "b", "c"])) == [
        "-999 may be a code for missing: it stands 2 times, apart from all other values, in "
        "2 columns: a, b; if it is one, use --missing-values=-999 (missing_values), "
        "or put NaN in its place"
    ]
