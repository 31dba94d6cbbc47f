"""Procedures that join core and inference: the search over starts, and the solvers of PPCA."""
