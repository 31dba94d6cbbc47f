"""The one array type that the package speaks of."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
"""A floating point array; its shape is told in the comment or the docstring beside it."""
