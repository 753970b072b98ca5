"""The face detector: its published weights, put into networks of our own."""
