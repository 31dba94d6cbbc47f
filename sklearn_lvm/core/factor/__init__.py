"""Probabilistic PCA: its density, its estimation from a spectrum, and its EM."""
