"""Where torch is not installed, what needs it is left out, and the first lines say so."""

from importlib.util import find_spec

TORCH = find_spec("torch") is not None
collect_ignore = [] if TORCH else ["sklearn_lvm/neural", "sklearn_lvm/estimators/vae.py"]


def pytest_report_header(config):
    return [] if TORCH else ["torch is not installed: neural densities are not tested"]
