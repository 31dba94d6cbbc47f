"""What tests of the comparison share: one thread."""

import pytest
from threadpoolctl import threadpool_limits


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Keep threads from waiting for each other over matrices of a few rows."""
    with threadpool_limits(1):
        yield
