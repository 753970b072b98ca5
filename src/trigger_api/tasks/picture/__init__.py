"""From a picture to what is on it: ink, strokes, boxes; no network."""
