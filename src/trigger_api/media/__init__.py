"""Bytes to arrays, with every limit on hostile input."""
