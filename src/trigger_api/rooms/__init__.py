"""Live audio of many rooms on one copy of the weights: sessions, their conductor, and who is told what was heard."""
