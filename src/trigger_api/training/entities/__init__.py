"""How named entities are trained: examples, encoder, course, card."""
