"""The recipe for handwritten digits."""
