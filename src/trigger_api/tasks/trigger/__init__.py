"""Trigger words: heard in recordings and in live audio."""
