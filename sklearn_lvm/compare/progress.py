"""What a comparison tells of its progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Lines", "Observer"]


class Observer(Protocol):
    """Hears of every fit, and of every model that has ended."""

    def expect(self, fits: int) -> None:
        """So many fits are ahead, as far as is known."""
        ...

    def fitted(self, model: str) -> None:
        """A fit has ended."""
        ...

    def line(self, text: str) -> None:
        """A model, or a round of the search, has ended."""
        ...


class Lines:
    """Hands on the lines alone."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write

    def expect(self, fits: int) -> None:
        """Nothing to show."""

    def fitted(self, model: str) -> None:
        """Nothing to show."""

    def line(self, text: str) -> None:
        """Write the line."""
        self.write(text)
