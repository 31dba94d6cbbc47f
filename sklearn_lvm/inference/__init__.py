"""The algorithms: how a model is found. Nothing here knows which model it is."""
