"""Tests of the fitting procedures."""
