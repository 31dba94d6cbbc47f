"""Every configuration passes every check that scikit-learn has, and stays inside all of them."""

import os
import warnings
from unittest import SkipTest

import pytest
from scipy._lib import _array_api
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_lvm import CovarianceWarning

from .specs import SPECS, every_spec

ALLOWED = (CovarianceWarning, ConvergenceWarning, DataConversionWarning)

# A list, because pytest no longer takes the generator that older versions hand out.
_checks = parametrize_with_checks([spec.estimator for spec in SPECS])
every_check = pytest.mark.parametrize(
    _checks.args[0], list(_checks.args[1]), ids=_checks.kwargs["ids"]
)


def test_the_array_api_is_on():
    assert os.environ["SCIPY_ARRAY_API"] == "1"
    assert _array_api.SCIPY_ARRAY_API


@every_check
def test_scikit_learn_check(estimator, check):
    with warnings.catch_warnings():
        for category in ALLOWED:
            warnings.simplefilter("ignore", category)
        try:
            check(estimator)
        except SkipTest as skipped:
            pytest.fail(f"a check was skipped: {skipped}")


def test_no_check_is_expected_to_fail():
    cases = list(parametrize_with_checks([spec.estimator for spec in SPECS]).args[1])
    assert len(cases) >= 50 * len(SPECS)
    assert not any(isinstance(case, type(pytest.param())) for case in cases)


@every_spec
def test_no_tag_takes_an_estimator_out_of_a_check(spec):
    tags = get_tags(spec.estimator)
    assert tags.requires_fit
    assert not tags._skip_test
    assert not tags.no_validation
    assert not tags.non_deterministic
    assert not tags.target_tags.required
    assert tags.input_tags.two_d_array
    assert tags.input_tags.allow_nan
    assert tags.input_tags.sparse == (spec.binary or spec.linear)
    assert not tags.input_tags.positive_only
    assert not tags.input_tags.pairwise
    assert set(tags.transformer_tags.preserves_dtype) == {"float64", "float32"}


@every_spec
def test_the_estimator_says_that_it_is_a_density(spec):
    tags = get_tags(spec.estimator)
    assert tags.estimator_type == "density_estimator"
    assert tags.transformer_tags is not None
