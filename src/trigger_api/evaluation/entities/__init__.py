"""How well named entities are found: whole spans, counted strictly."""
