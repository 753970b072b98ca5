"""How well emotions of faces are recognised."""
