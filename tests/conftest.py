"""What all tests share: scipy's array API is on, and examples are the same in every run."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # scipy reads this once, when it is imported

from hypothesis import settings

settings.register_profile("steady", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("steady")
