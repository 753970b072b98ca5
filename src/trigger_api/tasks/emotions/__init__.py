"""What the faces on photos show."""
