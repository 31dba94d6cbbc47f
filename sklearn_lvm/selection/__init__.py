"""How many components: fits with several numbers of them, and which is best by a criterion."""

from .report import Selection

__all__ = ["Selection"]
