"""Live audio of many rooms on one copy of the weights: streams, batching, events and presence."""
