"""The recipes for emotions of faces."""
