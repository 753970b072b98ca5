"""How well the trigger word is heard, as in a live stream."""
