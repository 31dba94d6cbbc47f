"""What every estimator promises, whatever the density inside it."""
