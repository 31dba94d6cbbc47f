"""What torch keeps for a thread or for the process, held while networks are built or trained."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, RLock

import torch

_defaults = RLock()  # held while torch's own generator and defaults are changed
_threads = Lock()  # held while numbers of threads are changed


@contextmanager
def recorded_gradients() -> Iterator[None]:
    """Ordinary tensors whose gradients are recorded, whatever mode the caller has chosen."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def lent(generator: torch.Generator) -> Iterator[None]:
    """Let code of users draw from a generator, and make float32 tensors on its device.

    Layers of torch draw from the generator that all share, and have the type that is the default of
    the process. Both are as they were afterwards; the lock keeps other fits from using them meanwhile.
    """
    with _defaults, torch.device(generator.device):
        shared, dtype = _shared_generator(generator.device), torch.get_default_dtype()
        before = shared.get_state()
        shared.set_state(generator.get_state())
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            generator.set_state(shared.get_state())
            shared.set_state(before)


def _shared_generator(device: torch.device) -> torch.Generator:
    """The generator that all draw from who name none."""
    if device.type == "cpu":
        return torch.default_generator
    module = getattr(torch, device.type)
    return module.default_generators[device.index or 0]


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold torch to one thread where this thread calls it; others keep their numbers of threads.

    torch has a number for each thread that calls it, and takes for a new one the number that was
    set last, by whichever thread; therefore another thread sets that one again.
    """
    with _threads:
        own = torch.get_num_threads()
        of_new = _hold() if own > 1 else 1
    try:
        yield
    finally:
        with _threads:
            if own > 1:
                _give_back(own, of_new)


def _hold() -> int:
    """Hold this thread to one, and return the number that new threads have taken and will take."""
    with ThreadPoolExecutor(1) as other:
        of_new = other.submit(torch.get_num_threads).result()
        torch.set_num_threads(1)
        other.submit(torch.set_num_threads, of_new).result()
    return of_new


def _give_back(own: int, of_new: int) -> None:
    torch.set_num_threads(own)
    if of_new != own:
        with ThreadPoolExecutor(1) as other:
            other.submit(torch.set_num_threads, of_new).result()
