"""Gaussian densities: covariance structures, moments, kernels, and estimates."""
