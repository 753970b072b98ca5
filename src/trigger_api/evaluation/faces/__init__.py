"""How many faces are found, of those that are there."""
