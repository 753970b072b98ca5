"""Trigger words in recordings."""
