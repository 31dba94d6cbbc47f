"""Bernoulli densities: rows of zeros and ones, counts, beliefs, and estimates."""
