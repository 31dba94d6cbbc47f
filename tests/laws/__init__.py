"""What is true of every family of densities, whatever the estimator around it."""
