"""What torch keeps for a thread or for the process, held while networks are built or trained."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock, RLock
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

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
    if device.type != "cuda":
        return torch.default_generator
    index = torch.cuda.current_device() if device.index is None else device.index
    return torch.cuda.default_generators[index]


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold torch to one thread where this thread calls it; others keep their numbers of threads.

    torch has a number for each thread that calls it, and takes for a new one the number that was
    set last, by whichever thread.
    """
    with _threads:
        own, of_new = torch.get_num_threads(), _in_a_new_thread(torch.get_num_threads)
        _set_threads(1, of_new)
    try:
        yield
    finally:
        with _threads:
            _set_threads(own, of_new)


def _set_threads(own: int, of_new: int) -> None:
    """Set the number of this thread, and the one that new threads take."""
    torch.set_num_threads(own)
    if of_new != own:
        _in_a_new_thread(torch.set_num_threads, of_new)


def _in_a_new_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args, **kwargs).result()
