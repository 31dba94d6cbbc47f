"""The linear-Gaussian model of probabilistic PCA."""
