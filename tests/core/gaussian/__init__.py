"""Tests of Gaussian densities."""
