"""Tests of the algorithms, which know no model."""
