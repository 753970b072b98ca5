"""The recipe for objects: a published detector, fine-tuned."""
