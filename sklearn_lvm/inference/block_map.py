"""Maps over blocks of rows, in threads.

A result depends on how the rows are cut into blocks, never on the number of threads: blocks are added
up in fixed groups, and the groups in their order.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import copy_context
from functools import cache, reduce
from operator import add
from threading import Lock
from typing import Self, TypeVar

from threadpoolctl import ThreadpoolController

from .._typing import Slice

B = TypeVar("B")
T = TypeVar("T")

BLOCK_BYTES = 7 << 18  # what a block grows into: some of a core's cache, and much work a call
MAX_BLOCK_BYTES = 1 << 24  # what it may grow into for the sake of MIN_PRODUCT_ROWS
MIN_PRODUCT_ROWS = 1024  # rows below which a matrix product is slow for its size
BLOCKS_PER_GROUP = 2  # blocks that are added up before anything else
TASKS_PER_THREAD = 8  # few enough to cost nothing, many enough to even out


def block_size(floats_per_row: int, min_rows: int = MIN_PRODUCT_ROWS) -> int:
    """Rows in a block, given how many numbers each of them grows into.

    ``min_rows`` are worth leaving the cache for.
    """
    in_cache, most = (size // (8 * floats_per_row) for size in (BLOCK_BYTES, MAX_BLOCK_BYTES))
    return max(64, min(16384, max(in_cache, min(most, min_rows))) // 64 * 64)


def slices_of(n: int, size: int) -> list[Slice]:
    """Consecutive slices of at most ``size`` of n rows."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def available_threads() -> int:
    """The number of threads that numerical libraries may use here.

    It follows threadpoolctl, environment variables, and what joblib leaves to its workers.
    """
    pools = [pool["num_threads"] for pool in _controller().info() if pool["user_api"] == "blas"]
    return max(pools, default=os.cpu_count() or 1)


class _SingleThreadedBlas:
    """Holds BLAS to one thread while blocks are mapped: the first user limits, the last restores."""

    def __init__(self) -> None:
        self.lock, self.users, self.limits, self.threads = Lock(), 0, ExitStack(), 1

    @contextmanager
    def hold(self) -> Iterator[int]:
        """Yield the number of threads that may map blocks."""
        with self.lock:
            if self.users == 0:
                self.threads = available_threads()
                self.limits.enter_context(_controller().limit(limits=1, user_api="blas"))
            self.users += 1
        try:
            yield self.threads
        finally:
            with self.lock:
                self.users -= 1
                if self.users == 0:
                    self.limits.close()


single_threaded_blas = _SingleThreadedBlas().hold


def single_openmp_thread() -> AbstractContextManager[object]:
    """Hold OpenMP to one thread, for work too small to be divided; BLAS is not held."""
    held: AbstractContextManager[object] = _controller().limit(limits=1, user_api="openmp")
    return held


class ThreadMap:
    """A block map in threads, with BLAS held to one thread meanwhile.

    The calling thread takes its share of the blocks.
    """

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.threads = stack.enter_context(single_threaded_blas())
            if self.threads > 1:
                self.pool = stack.enter_context(ThreadPoolExecutor(self.threads - 1))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def sum(self, function: Callable[[B], T], blocks: Sequence[B]) -> T:
        """Add up the function of all blocks."""

        def subtotal(group: Slice) -> T:
            return reduce(add, (function(blocks[i]) for i in range(group.start, group.stop)))

        return reduce(add, self.map(subtotal, slices_of(len(blocks), BLOCKS_PER_GROUP)))

    def map(self, function: Callable[[B], T], blocks: Sequence[B]) -> list[T]:
        """List the function of each block, in order."""
        if self.threads == 1 or len(blocks) <= 1:
            return [function(block) for block in blocks]
        runs = slices_of(len(blocks), -(-len(blocks) // (TASKS_PER_THREAD * self.threads)))
        todo, done = deque(enumerate(runs)), dict[int, list[T]]()

        def work() -> None:
            while True:
                try:
                    i, run = todo.popleft()
                except IndexError:
                    return
                done[i] = [function(block) for block in blocks[run]]

        # Floating-point warnings are silenced by context, which threads do not inherit.
        others = [self.pool.submit(copy_context().run, work) for _ in range(self.threads - 1)]
        try:
            work()
        finally:
            todo.clear()
            wait(others)
        for other in others:
            other.result()
        return [value for i in sorted(done) for value in done[i]]
