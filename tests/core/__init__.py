"""Tests of the mathematics, in the tree of the package."""
