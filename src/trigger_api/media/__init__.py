"""Bytes of unknown origin into arrays, with every limit on hostile input; boxes and drawing for the tasks."""
