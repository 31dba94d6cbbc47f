"""Tests of Bernoulli densities."""
