"""Tests of columns of exponential families."""
