"""The mathematics: arrays in, values out. Nothing is validated, and scikit-learn is unknown here."""
