"""Objects: a detector taught further from published weights."""
