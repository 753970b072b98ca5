"""Emotions of the faces on photos."""
