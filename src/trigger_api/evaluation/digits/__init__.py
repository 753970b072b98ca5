"""Measuring digits."""
