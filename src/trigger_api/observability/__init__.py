"""Logs, metrics and memory."""
