"""Where torch is not installed, what needs it is left out, and the first lines say so."""

from importlib.util import find_spec

TORCH = find_spec("torch") is not None
NEEDS_TORCH = ["sklearn_lvm/neural", "sklearn_lvm/estimators/vae.py", "tests/neural"]
collect_ignore = [] if TORCH else NEEDS_TORCH


def pytest_report_header(config):
    return [] if TORCH else ["torch is not installed: neural densities are not tested"]
