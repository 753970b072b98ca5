"""What the models are for: each task prepares a model's inputs and reads its outputs. No HTTP here."""
