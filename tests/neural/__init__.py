"""Laws of the neural densities; they need torch, which is an extra."""

import pytest

pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")
