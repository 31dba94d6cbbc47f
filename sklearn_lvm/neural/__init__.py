"""Variational autoencoders in torch: networks, bounds, training and fitted densities."""
