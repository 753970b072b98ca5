"""The face detector, converted from published weights."""
