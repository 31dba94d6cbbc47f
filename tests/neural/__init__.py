"""Laws of the neural densities; they need torch, which is an extra."""
