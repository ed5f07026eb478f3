"""Cold start."""
