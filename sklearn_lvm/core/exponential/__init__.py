"""Independent columns of exponential families, stacked in one matrix of features."""
