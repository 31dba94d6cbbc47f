"""Workers have one thread each; where torch is not installed, what needs it is left out."""

import os
from importlib.util import find_spec

if "PYTEST_XDIST_WORKER" in os.environ:  # there is a worker for each core already
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")

TORCH = find_spec("torch") is not None
NEEDS_TORCH = ["sklearn_lvm/neural", "sklearn_lvm/estimators/vae.py", "tests/neural"]
collect_ignore = [] if TORCH else NEEDS_TORCH


def pytest_report_header(config):
    return [] if TORCH else ["torch is not installed: neural densities are not tested"]
