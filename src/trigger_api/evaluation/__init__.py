"""Measurements of every task's models, served as for any request."""
