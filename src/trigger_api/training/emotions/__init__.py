"""The recipes for faces' emotions."""
