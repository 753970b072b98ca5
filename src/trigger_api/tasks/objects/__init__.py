"""Objects on photos: where and what they are."""
