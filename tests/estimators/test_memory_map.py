"""Rows in a file are fitted as they are in memory, and are not copied there as a whole."""

import numpy as np
import pytest

from sklearn_lvm import EMGaussianMixture, _mixture_base
from sklearn_lvm.core.frame import Blocks, Frame

from .specs import clouds, every_covariance_type, same_state, weights

N = 40_000


@pytest.fixture
def watched(monkeypatch):
    """The sizes of all tables that enter standard units, and the blocks that a fit walks."""
    sizes, blocks, enter = [], [], Frame.enter

    class Watched(Blocks):
        def __init__(self, *args):
            super().__init__(*args)
            blocks.append(self)

    def counted(frame, X):
        sizes.append(len(X))
        return enter(frame, X)

    monkeypatch.setattr(Frame, "enter", counted)
    monkeypatch.setattr(_mixture_base, "Blocks", Watched)
    return sizes, blocks


@every_covariance_type
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_on_disk_are_fitted_block_by_block(covariance_type, dtype, tmp_path, watched):
    sizes, blocks = watched
    X, w = clouds(N).astype(dtype), weights(N)
    np.save(tmp_path / "rows.npy", X)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    model = EMGaussianMixture(3, covariance_type=covariance_type, random_state=0, max_iter=20)
    model.set_params(tol=1e-2)
    in_memory = model.fit(X, sample_weight=w)
    assert sum(len(Z[0]) for Z in blocks[-1].kept) == N
    kept = len(sizes)
    on_disk = EMGaussianMixture(**model.get_params()).fit(mapped, sample_weight=w)
    assert same_state(on_disk, in_memory)
    assert len(blocks[-1].kept) == 0
    assert len(sizes) - kept > on_disk.n_iter_ * len(blocks[-1])
    assert max(sizes[kept:]) < N / 2
    assert not mapped.flags.writeable
