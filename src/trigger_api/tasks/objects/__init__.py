"""Objects on photos."""
