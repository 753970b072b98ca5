"""Measurements: one module per task, through the path that serves."""
