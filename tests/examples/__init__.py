"""Models as a user would write them."""
