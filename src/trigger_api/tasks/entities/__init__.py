"""Named entities in texts."""
