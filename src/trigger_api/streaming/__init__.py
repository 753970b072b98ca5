"""Live audio of many rooms on one copy of the weights: sessions, their batcher, and who is told what was heard."""
