"""The recipe for named entities."""
