"""The object detector, converted from published weights."""
