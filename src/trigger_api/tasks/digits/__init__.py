"""Handwritten digits on pictures."""
