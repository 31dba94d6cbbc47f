"""Rows in a file are fitted as they are in memory, and are not copied there as a whole."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sklearn_lvm import EMGaussianMixture
from sklearn_lvm.core.blocks import Blocks
from sklearn_lvm.core.standardization import Standardization

from .specs import clouds, every_em_covariance_type, same_state, weights

N = 40_000


@pytest.fixture
def watched(monkeypatch):
    """The sizes of all tables that are standardized, and the blocks of all fits."""
    sizes, blocks, transform, held = [], [], Standardization.transform, Blocks.held

    def counted(standardization, X):
        sizes.append(len(X))
        return transform(standardization, X)

    def recorded(self):
        found = held(self)
        if len(self.w) == N:
            blocks.append(found)
        return found

    monkeypatch.setattr(Standardization, "transform", counted)
    monkeypatch.setattr(Blocks, "held", recorded)
    return sizes, blocks


@every_em_covariance_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_on_disk_are_fitted_block_by_block(covariance_type, dtype, tmp_path, watched):
    sizes, blocks = watched
    X, w = clouds(N).astype(dtype), weights(N)
    np.save(tmp_path / "rows.npy", X)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    model = EMGaussianMixture(3, covariance_type=covariance_type, random_state=0, max_iter=20)
    model.set_params(tol=1e-2)
    in_memory = model.fit(X, sample_weight=w)
    assert sum(len(Z[0]) for Z in blocks[-1].made) == N
    kept = len(sizes)
    on_disk = EMGaussianMixture(**model.get_params()).fit(mapped, sample_weight=w)
    assert same_state(on_disk, in_memory)
    assert len(blocks[-1].made) == 0
    assert len(sizes) - kept > on_disk.n_iter_ * len(blocks[-1])
    assert max(sizes[kept:]) < N / 2
    assert not mapped.flags.writeable


LITTLE_MEMORY = """
import resource, sys, warnings
import subprocess
import sys
from pathlib import Path

import numpy as np
from sklearn_lvm import EMGaussianMixture
warnings.simplefilter("ignore")
path, room = sys.argv[1], int(sys.argv[2])
X = np.load(path, mmap_mode="r")
mixture = EMGaussianMixture(2, covariance_type="diag", max_iter=2, random_state=0)
mixture.fit(np.array(X[:20_000]))  # what is loaded at first use, threads included
status = open("/proc/self/status").read().split()
held = int(status[status.index("VmData:") + 1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (held + room, held + room))
try:
    np.array(X)
except MemoryError:
    print("too large for a copy")
print(mixture.fit(X).score(X))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the limits of Linux")
def test_rows_on_disk_may_be_larger_than_memory(tmp_path):
    rng = np.random.default_rng(0)
    X = np.lib.format.open_memmap(tmp_path / "rows.npy", mode="w+", shape=(400_000, 64))
    for rows in np.array_split(np.arange(len(X)), 10):
        X[rows] = rng.normal(size=(len(rows), 64)) + 3 * rng.integers(0, 2, (len(rows), 1))
    room = X.nbytes // 3
    arguments = [sys.executable, "-c", LITTLE_MEMORY, str(tmp_path / "rows.npy"), str(room)]
    # Each thread of BLAS takes 32 MB once it has work, which may be before the limit is set or after.
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env=one_thread)
    assert done.returncode == 0, done.stderr
    said, score = done.stdout.splitlines()
    assert said == "too large for a copy"
    assert np.isfinite(float(score))
