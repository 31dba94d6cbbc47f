"""Tests of the choice of a number of components."""
