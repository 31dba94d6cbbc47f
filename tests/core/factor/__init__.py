"""Tests of the linear-Gaussian model."""
