"""The history: past predictions, kept for whoever wants them. Rules without HTTP."""
