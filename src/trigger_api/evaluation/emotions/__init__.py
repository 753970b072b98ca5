"""How well emotions are told from faces."""
