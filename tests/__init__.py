"""The tests of sklearn_lvm."""
